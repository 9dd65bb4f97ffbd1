"""Where a request may hold text that nothing may hold (:mod:`domain.text`): its path, its query, its body."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from fastapi import Request

from domain import text

#: What :mod:`domain.text` refuses, as a JSON body may spell it: only such a body is looked through.
_SUSPECT = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\\u00[01]|\\u007[fF]|\\[bf]|\\u[dD][89a-fA-F]")


async def check(request: Request) -> None:
    """Refuse a request whose path, query or body holds such text.

    Raises:
        Refused: names the field, or the line of a body that is no JSON.
    """
    for name, value in [*request.path_params.items(), *request.query_params.multi_items()]:
        text.check(name[:40] or "query", str(value))
    body = await request.body()
    if not _SUSPECT.search(body):
        return
    if "json" not in request.headers.get("content-type", "json"):
        lines = body.decode(errors="replace").splitlines()
        for number, line in enumerate(lines, start=1):
            text.check(f"line {number}", line)
        return
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return  # The route says so in its own words.
    for where, said in _strings(found, ""):
        text.check(where or "body", said)


def _strings(value: Any, where: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _strings(item, f"{where}.{number}".lstrip("."))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield where or "body", name
            yield from _strings(item, f"{where}.{name[:40]}".lstrip("."))
