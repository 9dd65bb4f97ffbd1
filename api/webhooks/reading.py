"""Reading a body that anybody may have sent: every way to be wrong has its own sentence."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import ipaddress
import json
from typing import Any, NamedTuple

from domain.events import MAX_MS, Kind, MailEvent
from domain.refusals import Refused

#: Feedback types of reports that are no complaints (registry of RFC 5965; this project's rule).
NO_COMPLAINT = frozenset({"not-spam", "auth-failure"})


class Rejected(Refused):
    """A webhook that is not taken; nothing of it is stored.

    Args:
        detail: one sentence for whoever runs the source.
        status: HTTP status; 401 for a signature, 400 for a body that cannot be read, 404 for a source that is
            not known or has no key, 406 for a token used before, 413, 503.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int = 401,
        field: str | None = None,
        code: str = "forged",
    ) -> None:
        super().__init__(detail, field=field, code=code)
        self.status = status


def unreadable(detail: str, field: str = "body") -> Rejected:
    """A body whose signature may be right but whose content makes no sense."""
    return Rejected(detail, status=400, field=field, code="unreadable")


def document(body: bytes) -> Any:
    """The JSON document of a body.

    Raises:
        Rejected: it is not UTF-8, not JSON, or nested past reason.
    """
    try:
        return json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        if body.startswith(b"\x1f\x8b"):
            raise unreadable("The body is compressed; send it as it is, without gzip.") from None
        raise unreadable(f"The body is not UTF-8 (byte {error.start}); send JSON in UTF-8.") from None
    except RecursionError:
        raise unreadable("The body is nested too deeply.") from None
    except ValueError as error:
        raise unreadable(f"The body is not JSON: {error}.") from None


def mapping(value: Any, field: str) -> dict[str, Any]:
    """A JSON object, or a refusal that names the field."""
    if not isinstance(value, dict):
        raise unreadable(f"{field} must be a JSON object.", field)
    return value


def text(value: Any) -> str:
    """Text of a scalar, empty for anything else."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def label(value: Any) -> str:
    """Name of a sender or campaign, at most 100 characters."""
    return text(value)[:100]


def address(value: Any) -> str:
    """The canonical form of an IP that a source names, empty when it is none."""
    return _canonical(value if value.__class__ is str else text(value))


@functools.lru_cache(4096)
def _canonical(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value.strip()))
    except ValueError:
        return ""


#: Seconds of the year 5138: a number from here on is milliseconds, as the clocks of browsers tell them.
MILLISECONDS = 1e11


def epoch_ms(value: Any, field: str) -> int:
    """Milliseconds of epoch seconds, of epoch milliseconds, or of an RFC 3339 time.

    Raises:
        Rejected: none of them.
    """
    if value.__class__ is float and 0 <= value < MILLISECONDS:
        return int(value * 1000)
    try:
        if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
            moment = dt.datetime.fromisoformat(value)
            at = int((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() * 1000)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            number = float(value)
            at = int(number * 1000 if number < MILLISECONDS else number)
        else:
            raise ValueError
        if not 0 <= at <= MAX_MS:
            raise ValueError
    except (ValueError, OverflowError):
        raise unreadable(f"{field} must be a time: epoch seconds or RFC 3339.", field) from None
    return at


def not_known(source: str, raw: dict[str, Any], name: str, field: str, now: float, event_id: str = "") -> MailEvent:
    """An event whose type this release does not know: kept and told, counted nowhere, so that the others count.

    Raises:
        Rejected: it has no type at all: then it is no event of the source.
    """
    if not name:
        raise unreadable(f"{field} is missing.", field)
    return MailEvent(
        source=source,
        event_id=event_id or derived(raw),
        kind=Kind.UNKNOWN,
        at_ms=int(now * 1000),
        detail=f"{field.rpartition('.')[2]} {name[:100]}",
    )


def inner(value: Any) -> dict[str, Any]:
    """A JSON object inside of another, empty when it is none."""
    return value if isinstance(value, dict) else {}


def derived(*parts: Any) -> str:
    """An id for an event whose source gives it none: the same again has the same one."""
    told = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:32]


class Own(NamedTuple):
    """What an operator put on his mails for Warmpath, as metadata of whatever kind the source has."""

    sender: str
    campaign: str
    address: str


def own(metadata: Any) -> Own:
    """The values of `warmpath_sender`, `warmpath_campaign` and `warmpath_ip`."""
    given = inner(metadata)
    return Own(
        label(given.get("warmpath_sender")), label(given.get("warmpath_campaign")), address(given.get("warmpath_ip"))
    )


def fresh(timestamp: str, now: float, tolerance: float) -> None:
    """Refuse a stale or future timestamp: a recorded request must not be of use later.

    Raises:
        Rejected: it is no number, or more than ``tolerance`` seconds away.
    """
    try:
        sent = float(timestamp)
    except ValueError:
        raise Rejected("The signed timestamp is no number of seconds.", code="forged") from None
    if not abs(now - sent) <= tolerance:
        raise Rejected(
            f"The signed timestamp is more than {tolerance:.0f} seconds away from now: a replay, or a wrong clock.",
            code="replayed",
        )
