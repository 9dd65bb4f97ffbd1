"""Requests of a bounded size."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Refuses a body past ``limit`` bytes, announced or not, before anything parses it."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body up to the limit, then let the application have it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        taken: list[Message] = []
        size = int(announced) if announced.isdigit() else 0
        if size <= self._limit:
            size = 0
            while True:
                message = await receive()
                taken.append(message)
                size += len(message.get("body", b""))
                if size > self._limit or not message.get("more_body"):
                    break
        if size > self._limit:
            from api.problems import problem  # brings the store along, which the codec server may do without

            answer = problem(413, "Too large", f"The body is past {self._limit:,} bytes; send less at once.")
            await answer(scope, receive, send)
            return

        async def replay() -> Message:
            return taken.pop(0) if taken else await receive()

        await self._app(scope, replay, send)
