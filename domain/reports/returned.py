"""The mail that came back within a report, whole or as its headers."""

from __future__ import annotations

import re

from domain.reports import mime

#: Types of the part that holds it; one of them is a usual mistake.
TYPES = frozenset(
    {"message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global", "message/global-headers"}
)
ADDRESS = re.compile(r"[^\s<>@,;:\"()]{1,64}@[^\s<>@,;:\"()]{1,255}")
#: Whom a server took a mail for, in its Received header.
_TAKEN_FOR = re.compile(r"\bfor\s+<?([^\s<>;,\"()]{1,64}@[^\s<>;,\"()]{1,255})>?\s*(?:;|\(|$)", re.IGNORECASE)


def headers(parts: list[mime.Entity]) -> mime.Headers | None:
    """Its headers; None when the report does not hold it."""
    part = next((part for part in parts[1:] if part.type in TYPES), None)
    return mime.fields(mime.decoded(part.content()[:60_000].partition(b"\n\n")[0])) if part else None


def taken_for(found: mime.Headers) -> list[str]:
    """Whom servers took it for, the last one first, in lower case; aliases and lists make them differ."""
    told = (_TAKEN_FOR.search(received[:1_000]) for received in found.get("received", [])[:20])
    return [one[1].lower() for one in told if one]


def recipient(found: mime.Headers) -> str:
    """Whom it was for, by the last server that names him, else by a To with a single address that is no list's."""
    taken = taken_for(found)
    if taken:
        return taken[0]
    written = {one.lower() for one in ADDRESS.findall(" ".join(found.get("to", []))[:2_000])}
    return next(iter(written)) if len(written) == 1 and "list-id" not in found else ""
