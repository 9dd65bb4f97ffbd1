"""The only way from the console to the rest of Warmpath: its HTTP API.

A refusal arrives as ``application/problem+json`` (RFC 9457) and leaves here as :class:`Problem`,
which knows the sentence to show and the field that each part of the refusal belongs to.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import httpx

#: Seconds; a command waits for its journey, so it may take longer than a look.
TIMEOUT = httpx.Timeout(30.0, connect=3.0)
LOOK_TIMEOUT = httpx.Timeout(12.0, connect=3.0)

#: Seconds in which an API that took too long is not looked at again: a page asks many things, one after the other.
LEFT_ALONE = 5.0

#: Rows that the API gives at once, at most.
MOST_ROWS = 500

#: Answers kept to stand in while the API does not answer.
KEPT = 200

#: Whatever JSON holds; pages read it with care for what may be missing.
JsonValue: TypeAlias = Any  # noqa: UP040

Json = dict[str, Any]


class Problem(Exception):
    """The API refused.

    Attributes:
        status: HTTP status.
        title: what kind of refusal, in a few words.
        detail: one sentence for the operator.
        fields: field name (``smtp.host``) to what is wrong with it.
    """

    def __init__(self, status: int, title: str, detail: str, fields: dict[str, str] | None = None) -> None:
        super().__init__(detail or title)
        self.status = status
        self.title = title
        self.detail = detail or title
        self.fields = fields or {}

    def at(self, *names: str) -> str | None:
        """What is wrong with a field, asked by any of its names; ``None`` when nothing is."""
        for name in names:
            for field, message in self.fields.items():
                if field == name or field.endswith(f".{name}"):
                    return message
        return None


class Unreachable(Problem):
    """The API does not answer at all."""

    def __init__(self, url: str) -> None:
        super().__init__(
            0,
            "The API does not answer",
            f"The API at {url} does not answer. Start it with `make up`, or set WARMPATH_API_URL.",
        )


class TooSlow(Problem):
    """The API took a request and gave no answer in time."""

    def __init__(self) -> None:
        super().__init__(
            0,
            "The API took too long",
            "The API took too long to answer. What was asked may still go on; look again in a moment.",
        )


def api_url() -> str:
    """Address of the API, from ``WARMPATH_API_URL``."""
    return os.environ.get("WARMPATH_API_URL", "http://127.0.0.1:8000").rstrip("/")


def configured_token() -> str | None:
    """Token from ``WARMPATH_TOKEN``, else from ``operator.token`` in ``WARMPATH_VAR_DIR``; else ``None``."""
    given = os.environ.get("WARMPATH_TOKEN", "").strip()
    if given:
        return given
    file = Path(os.environ.get("WARMPATH_VAR_DIR", "var")) / "operator.token"
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _field(error: Json) -> str:
    """Dotted name of the field that one entry of ``errors`` is about."""
    for name in ("field", "pointer", "loc", "name"):
        where = error.get(name)
        if isinstance(where, list):
            return ".".join(str(part) for part in where if part not in ("body", "query", "path"))
        if isinstance(where, str) and where:
            return where.removeprefix("#").strip("/").replace("/", ".").removeprefix("body.")
    return ""


def problem_of(answer: httpx.Response) -> Problem:
    """The refusal in an answer, whatever its shape."""
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    fields: dict[str, str] = {}
    for error in body.get("errors") or []:
        if isinstance(error, dict):
            message = error.get("detail") or error.get("message") or error.get("msg") or "is not accepted"
            fields[_field(error)] = str(message)
    title = str(body.get("title") or answer.reason_phrase or "Refused")
    detail = body.get("detail")
    if not isinstance(detail, str) or not detail:
        detail = "; ".join(f"{name}: {text}" if name else text for name, text in fields.items()) or title
    return Problem(answer.status_code, title, detail, fields)


def path_of(template: str, **parts: str) -> str:
    """A path with its parts quoted, so that an IPv6 address or odd input stays one segment."""
    return template.format(**{name: quote(value, safe="") for name, value in parts.items()})


class Look(threading.local):
    """What one drawing of a page was made of: since when the oldest answer in it is out of date.

    Attributes:
        stale_since: time of the oldest answer that stands in for one that could not be had; None when all are fresh.
    """

    stale_since: datetime | None = None

    def begin(self) -> None:
        """A new drawing begins."""
        self.stale_since = None

    def used(self, at: datetime) -> None:
        """An answer of this time stood in for one that could not be had."""
        self.stale_since = min(at, self.stale_since or at)


look = Look()


class Api:
    """One signed-in operator's view of the API; safe to share between reruns and threads.

    What was read last stands in for what cannot be read now, and :data:`look` says so.
    """

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            transport=transport,
        )
        self._kept: OrderedDict[str, tuple[datetime, Json]] = OrderedDict()
        self._lock = threading.Lock()
        self._alone_until = 0.0

    def _call(self, method: str, path: str, **more: JsonValue) -> httpx.Response:
        looks = method == "GET"
        if looks and time.monotonic() < self._alone_until:
            raise TooSlow
        try:
            answer = self._http.request(method, path, timeout=LOOK_TIMEOUT if looks else TIMEOUT, **more)
        except httpx.TimeoutException as failure:
            if looks:  # a command may wait for a worker, while the API answers everything else
                self._alone_until = time.monotonic() + LEFT_ALONE
            raise TooSlow from failure
        except httpx.HTTPError as failure:
            raise Unreachable(self.url) from failure
        if answer.status_code >= 400:
            raise problem_of(answer)
        return answer

    def get(self, path: str, **params: str | int | list[str] | None) -> Json:
        """A resource; the last answer when the API does not answer now.

        Raises:
            Problem: the API refused, or does not answer and never did.
        """
        wanted = {name: value for name, value in params.items() if value not in (None, "", [])}
        asked = str(httpx.URL(path, params=wanted))
        try:
            body = self._call("GET", path, params=wanted).json()
        except Problem as problem:
            kept = self._kept.get(asked)
            if kept is None or 0 < problem.status < 500:
                raise
            look.used(kept[0])
            return kept[1]
        answer: Json = body if isinstance(body, dict) else {"items": body}
        with self._lock:
            self._kept[asked] = (datetime.now(UTC), answer)
            self._kept.move_to_end(asked)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return answer

    def find(self, path: str, **params: str | int | list[str] | None) -> Json | None:
        """A resource, or ``None`` where there is none (404)."""
        try:
            return self.get(path, **params)
        except Problem as problem:
            if problem.status == 404:
                return None
            raise

    def items(self, path: str, **params: str | int | list[str] | None) -> list[Json]:
        """What a list holds; nothing where there is no such list."""
        found: list[Json] = (self.find(path, **params) or {}).get("items") or []
        return found

    def all(self, path: str) -> list[Json]:
        """The whole of a list that the server pages."""
        found: list[Json] = []
        following: str | None = None
        while True:
            page = self.find(path, limit=MOST_ROWS, after=following) or {}
            found += page.get("items") or []
            following = page.get("next")
            if not following:
                return found

    def names(self, path: str) -> list[str]:
        """Names of what a list holds, the whole of it."""
        return [str(one["name"]) for one in self.all(path)]

    def text(self, path: str) -> str:
        """A resource in plain text, such as a zone file."""
        return self._call("GET", path).text

    def send(self, method: str, path: str, body: Json | None = None, key: str | None = None) -> Json:
        """A command or a new resource; ``key`` makes pressing twice the same as pressing once."""
        headers = {"Idempotency-Key": key} if key else {}
        answer = self._call(method, path, json=body if body is not None else {}, headers=headers)
        if not answer.content:
            return {}
        read = answer.json()
        return read if isinstance(read, dict) else {"items": read}

    def post(self, path: str, body: Json | None = None, key: str | None = None) -> Json:
        """POST; see :meth:`send`."""
        return self.send("POST", path, body, key)

    def patch(self, path: str, body: Json) -> Json:
        """PATCH; see :meth:`send`."""
        return self.send("PATCH", path, body)

    def put(self, path: str, body: Json) -> Json:
        """PUT; see :meth:`send`."""
        return self.send("PUT", path, body)

    def post_csv(self, path: str, text: str, reason: str = "") -> Json:
        """POST of a CSV, with a reason for the audit where one is given; see :meth:`send`."""
        answer = self._call(
            "POST",
            path,
            content=text.encode("utf-8"),
            headers={"Content-Type": "text/csv; charset=utf-8"},
            params={"reason": reason} if reason else {},
        )
        read = answer.json()
        return read if isinstance(read, dict) else {"items": read}

    def delete(self, path: str, reason: str = "") -> None:
        """DELETE, with a reason for the audit where one is asked for; answers nothing.

        Raises:
            Problem: the API refused, or does not answer.
        """
        self._call("DELETE", path, params={"reason": reason} if reason else {})
