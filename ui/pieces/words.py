"""Times, money, numbers and states in words; one spelling and one sign for each."""

from __future__ import annotations

import html
import math
import re
from datetime import UTC, datetime

from ui.client import JsonValue

#: Stage to (sign, word, colour of a badge). Blue is progress, green healthy, orange watch, red act, grey
#: unknown.
STAGES: dict[str, tuple[str, str, str]] = {
    "selected": ("○", "Selected", "gray"),
    "purchasing": ("◔", "Purchasing", "blue"),
    "awaiting_dns": ("◑", "Awaiting DNS", "blue"),
    "active": ("✓", "Active", "green"),
    "warming": ("▲", "Warming up", "blue"),
    "full_capacity": ("★", "Full capacity", "green"),
    "at_risk": ("!", "At risk", "red"),
    "recovering": ("↻", "Recovering", "orange"),
    "quarantined": ("✕", "Quarantined", "red"),
    "failed_over": ("⇄", "Failed over", "red"),
    "retired": ("–", "Retired", "gray"),
}

#: Band to (sign, word, badge colour, colour in charts).
BANDS: dict[str, tuple[str, str, str, str]] = {
    "green": ("✓", "Healthy", "green", "#2e9d5b"),
    "yellow": ("△", "Watch", "orange", "#d9a406"),
    "red": ("!", "Act", "red", "#d1453b"),
    "unknown": ("?", "Unknown", "gray", "#8a94a3"),
}

DECISIONS: dict[str, str] = {
    "grow": "Grow",
    "hold": "Hold",
    "step_back": "Step back",
    "stop": "Stop",
    "pause": "Pause",
    "start": "Start",
    "graduate": "Graduate",
    "decay": "Idle decay",
    "rest": "Rest day",
}


def stage(name: str | None) -> str:
    """A stage with its sign: ``▲ Warming up``."""
    sign, word, _ = STAGES.get(name or "", ("?", spoken(name), "gray"))
    return f"{sign} {word}"


def stage_colour(name: str | None) -> JsonValue:
    """Badge colour of a stage."""
    return STAGES.get(name or "", ("", "", "gray"))[2]


def band(name: str | None) -> str:
    """A band with its sign: ``△ Watch``."""
    sign, word, _, _ = BANDS.get(name or "unknown", BANDS["unknown"])
    return f"{sign} {word}"


#: Stages at which mail of an IP is stopped, whatever its figures say.
TROUBLED = ("at_risk", "quarantined", "failed_over")


def reputation(ip: dict[str, JsonValue]) -> str:
    """The band of an IP's score, or its stage where that stops its mail: no such IP is called healthy."""
    troubled = ip.get("stage") in TROUBLED and ip.get("band") != "red"
    return stage(ip.get("stage")) if troubled else band(ip.get("band"))


def band_colour(name: str | None) -> JsonValue:
    """Badge colour of a band."""
    return BANDS.get(name or "unknown", BANDS["unknown"])[2]


def decision(name: str | None) -> str:
    """A decision of the warm-up in a word or two."""
    return DECISIONS.get(name or "", spoken(name)) if name else "–"


def status(ip: dict[str, JsonValue]) -> str:
    """The status that an operator reads beside an IP: **Active** once its DNS is verified."""
    return str(ip.get("status") or stage(ip.get("stage")))


#: State of a DNS set-up to (sign, words).
DNS_STATES: dict[str, tuple[str, str]] = {
    "none": ("–", "Not set up here"),
    "waiting": ("…", "Waiting"),
    "published": ("◔", "Published"),
    "verified": ("✓", "Verified"),
    "escalated": ("△", "With support"),
    "refused": ("✕", "Refused"),
    "drifted": ("!", "Drifted"),
}


def dns_state(name: str | None) -> str:
    """The state of a DNS set-up with its sign: ``✓ Verified``."""
    sign, said = DNS_STATES.get(name or "", ("?", spoken(name)))
    return f"{sign} {said}"


#: Records that are TXT in DNS by what they are for, which nobody sees from the type.
_PURPOSES = {"spf": "SPF", "dkim": "DKIM", "dmarc": "DMARC", "mta_sts": "MTA-STS", "tls_rpt": "TLS-RPT", "bimi": "BIMI"}


def record_type(record: dict[str, JsonValue]) -> str:
    """The type of a DNS record, with what it is for where the type does not say that: ``TXT (SPF)``."""
    purpose = _PURPOSES.get(str(record.get("key")).replace("-", "_"))
    return f"{record.get('type')} ({purpose})" if purpose else str(record.get("type"))


def record_name(record: dict[str, JsonValue]) -> str:
    """A DNS record by type and name: ``TXT (SPF)  example.com``."""
    return f"{record_type(record)}  {record.get('name')}"


def now(ip: dict[str, JsonValue]) -> str:
    """What an IP does or waits for, in a few words; a dash when it merely sends."""
    text = waiting(ip.get("waiting_for")).rstrip(".")
    if not text:
        return "–"
    return text if text.startswith(("Paused", "Warm-up stopped", "Day ")) else f"Waits for {text}"


#: Roles as a person calls them, with what each may do.
ROLES = {"viewer": "Viewer", "operator": "Operator", "admin": "Administrator"}
_MAY = {
    "viewer": "reads everything, changes nothing",
    "operator": "buys, sets up, warms up, pauses",
    "admin": "everything, also tokens and settings",
}


def role(name: str) -> str:
    """A role and what it may do: ``Viewer: reads everything, changes nothing``."""
    return f"{ROLES[name]}: {_MAY[name]}"


_MARKS = re.compile(r"([\\`*_\[\]|~$]|:(?=[a-z]))")


def literal(text: object) -> str:
    """What a person typed, so that its letters are shown as they stand: no markup, no formula, no words over a link.

    A bare address (``https://...``, ``www...``, ``name@domain``) still becomes a link, to what it says itself.
    Breaking it would take a sign that nobody sees, and who copies the address would copy that, too.
    """
    return _MARKS.sub(r"\\\1", " ".join(html.escape(str(text), quote=False).split()))


def sentence(text: str) -> str:
    """A text with its first letter large."""
    return text[:1].upper() + text[1:]


def percent(part: JsonValue, whole: JsonValue) -> str:
    """A part of a whole in whole per cent, never rounded up to full: ``64 %``; a dash without a whole."""
    return f"{int(100 * (part or 0) / whole)} %" if whole else "–"


def load(part: JsonValue, whole: JsonValue) -> str:
    """A part of a whole as a bar of ten signs with its per cent: ``■■■■■■□□□□ 64 %``."""
    if not whole:
        return "–"
    full = min(10, math.ceil(10 * (part or 0) / whole))
    return f"{'■' * full}{'□' * (10 - full)} {percent(part, whole)}"


def spoken(name: object) -> str:
    """An identifier as words: ``awaiting_dns`` -> ``Awaiting dns``."""
    text = str(name or "").replace("_", " ").strip()
    return text[:1].upper() + text[1:] if text else "Unknown"


def number(value: JsonValue) -> str:
    """A big number grouped by commas; a dash when it is not known."""
    if value is None:
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.1f}"
    try:
        return f"{int(value):,}"
    except (TypeError, ValueError):
        return str(value)


def money(value: JsonValue) -> str:
    """``{"amount": "8.00", "currency": "USD"}`` as ``8.00 USD``."""
    if isinstance(value, dict) and value.get("amount") is not None:
        return f"{value['amount']} {value.get('currency', '')}".strip()
    return "–" if value in (None, "") else str(value)


def moment(value: JsonValue) -> datetime | None:
    """An RFC 3339 time (or epoch seconds) as an aware UTC datetime; ``None`` when it is none."""
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC)
    if not isinstance(value, str) or not value:
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def second(value: JsonValue) -> datetime | None:
    """A time to the second, for a table that sorts by it; None when it is not known."""
    read = moment(value)
    return read.astimezone(UTC).replace(microsecond=0) if read else None


def duration(seconds: float) -> str:
    """A span of time in its biggest fitting unit: ``5 minutes``, ``6 hours``, ``3 days``."""
    seconds = abs(seconds)
    for size, unit in ((172_800, 86_400), (5_400, 3_600), (90, 60)):
        if seconds >= size:
            whole = round(seconds / unit)
            return f"{whole} {({86_400: 'days', 3_600: 'hours', 60: 'minutes'})[unit]}"
    whole = round(seconds)
    return f"{whole} second{'' if whole == 1 else 's'}"


def ago(value: JsonValue, now: datetime | None = None) -> str:
    """A time relative to now: ``6 hours ago``, ``in 3 days``; a dash when it is not known."""
    read = moment(value)
    if read is None:
        return "–"
    seconds = ((now or datetime.now(UTC)) - read).total_seconds()
    if abs(seconds) < 2:
        return "now"
    return f"{duration(seconds)} ago" if seconds > 0 else f"in {duration(seconds)}"


def exact(value: JsonValue) -> str:
    """A time in UTC, to the second."""
    read = moment(value)
    return read.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if read else "time not known"


def when(value: JsonValue) -> str:
    """HTML of a relative time with the exact one on hover."""
    return f'<span title="{html.escape(exact(value))}">{html.escape(ago(value))}</span>'


def lasting(value: JsonValue) -> str:
    """HTML of how long something lasts, with the exact begin on hover."""
    return f'<span title="{html.escape(exact(value))}">{html.escape(duration_since(value))}</span>'


def age(value: JsonValue) -> str:
    """An age that the API gives in seconds, or as a time."""
    if isinstance(value, (int, float)):
        return f"{duration(value)} old"
    return ago(value)


def share(part: JsonValue, whole: JsonValue) -> str:
    """A rate in per cent; a dash without a whole."""
    if not whole:
        return "–"
    return f"{100 * (part or 0) / whole:.2f} %"


def waiting(value: JsonValue) -> str:
    """What a journey waits for, whether the API says it as text or as a small object."""
    if isinstance(value, dict):
        text = value.get("text") or value.get("what") or value.get("detail") or ""
        actor = value.get("actor") or value.get("who") or value.get("on")
        if actor and str(actor) not in ("nobody", "time"):
            return f"{text} – {who(actor)} must act".strip(" –")
        return str(text)
    return str(value or "")


def who(actor: JsonValue) -> str:
    """Who must act next."""
    return {
        "operator": "you",
        "registrar": "you, at your registrar",
        "vendor": "the IP vendor",
        "time": "nobody: time passes",
        "nobody": "nobody",
    }.get(str(actor or ""), str(actor or "nobody"))


def duration_since(value: JsonValue, now: datetime | None = None) -> str:
    """How long ago a time is, without "ago": ``6 hours``."""
    read = moment(value)
    return duration(((now or datetime.now(UTC)) - read).total_seconds()) if read else "an unknown time"


def hundredth(part: JsonValue, whole: JsonValue = 1) -> float | None:
    """A part of a whole in parts of a hundred, for a table that sorts by it; None without a whole."""
    return round(100 * float(part or 0) / float(whole), 4) if whole and part is not None else None


def rate(value: JsonValue) -> str:
    """A part of one in per cent: ``0.45 %``; a dash where there is nothing to take a part of."""
    return "–" if value is None else f"{100 * float(value):.2f} %"
