"""Text that no field may hold, whatever field it is: control characters, and halves of characters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from fastapi import Request

from domain.refusals import Refused

#: C0 and DEL without tab and line ends. A store cannot keep NUL, and the rest steers terminals that show a log.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
#: The same and surrogates, as a JSON body may spell them: only such a body is looked through.
_SUSPECT = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\\u00[01]|\\u007[fF]|\\[bf]|\\u[dD][89a-fA-F]")


async def check(request: Request) -> None:
    """Refuse a request whose path, query or body holds such text.

    Raises:
        Refused: names the field, or the line of a body that is no JSON.
    """
    for name, value in [*request.path_params.items(), *request.query_params.multi_items()]:
        _refuse(name[:40], str(value))
    body = await request.body()
    if not _SUSPECT.search(body):
        return
    if "json" not in request.headers.get("content-type", "json"):
        lines = body.decode(errors="replace").splitlines()
        for number, line in enumerate(lines, start=1):
            _refuse(f"line {number}", line)
        return
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return  # The route says so in its own words.
    for where, text in _strings(found, ""):
        _refuse(where, text)


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


def _refuse(where: str, text: str) -> None:
    bad = _CONTROL.search(text)
    if bad is not None:
        raise Refused(
            f"{where or 'body'}: there is a control character (U+{ord(bad.group()):04X}) in the text; take it out.",
            field=where or "body",
            code="control_character",
        )
    if any("\ud800" <= one <= "\udfff" for one in text):
        raise Refused(
            f"{where or 'body'}: there is half of a character (a lone surrogate) in the text; send whole ones.",
            field=where or "body",
            code="surrogate",
        )
