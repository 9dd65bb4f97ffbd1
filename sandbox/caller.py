"""A script's view of Warmpath: its HTTP contract and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx

from settings import Settings

Json = dict[str, Any]


class Failed(Exception):
    """The system refused or did not get there; the message is for a person."""


class Caller:
    """Calls the API with the operator's token.

    Raises:
        Failed: there is no token, nobody answers, or the API refuses.
    """

    def __init__(self, settings: Settings) -> None:
        file = settings.var_dir / "operator.token"
        if not file.exists():
            raise Failed(f"There is no token at {file}; start the system with `make up` first.")
        headers = {"Authorization": f"Bearer {file.read_text().strip()}"}
        self._http = httpx.Client(base_url=settings.api_url, headers=headers, timeout=30, trust_env=False)

    def call(self, method: str, path: str, body: object = None, key: str | None = None) -> Json:
        """One call; the answer's JSON."""
        headers = {"Idempotency-Key": key} if key else {}
        try:
            reply = self._http.request(method, path, json=body, headers=headers)
        except httpx.TransportError as error:
            raise Failed(f"Nobody answers at {self._http.base_url}; is `make up` running? ({error})") from error
        if reply.is_error:
            raise Failed(f"{method} {path}: {_reason(reply)}")
        answer: Json = reply.json()
        return answer

    def get(self, path: str) -> Json:
        """Read."""
        return self.call("GET", path)

    def post(self, path: str, body: object = None, key: str | None = None) -> Json:
        """Ask for something."""
        return self.call("POST", path, {} if body is None else body, key)

    def until(
        self,
        path: str,
        reached: Callable[[Json], bool],
        seconds: float,
        told: Callable[[Json], None] | None = None,
    ) -> Json:
        """Read again and again until the answer is as wanted.

        Raises:
            Failed: it is not, after ``seconds``.
        """
        end = time.monotonic() + seconds
        while True:
            answer = self.get(path)
            if told is not None:
                told(answer)
            if reached(answer):
                return answer
            if time.monotonic() > end:
                waits = answer.get("waiting_for") or answer.get("reason") or answer.get("state") or "?"
                raise Failed(f"{path} did not get there within {seconds:.0f} s; it waits for: {waits}")
            time.sleep(0.4)


def _reason(reply: httpx.Response) -> str:
    try:
        problem: Json = reply.json()
    except json.JSONDecodeError:
        return f"HTTP {reply.status_code}"
    said = problem.get("detail") or problem.get("title") or f"HTTP {reply.status_code}"
    errors = problem.get("errors") or []
    return f"{said} {errors}" if errors else str(said)
