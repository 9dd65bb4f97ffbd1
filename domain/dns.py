"""The DNS of a sending IP: its record set, what servers say about it, and what to do about it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import math
from collections.abc import Sequence
from enum import StrEnum

from pydantic import BaseModel, Field

from domain import dkim, spf
from domain.propagation import serial_reached
from domain.refusals import Refused

#: TTL of records that Warmpath writes, seconds: short enough to correct a mistake within minutes.
TTL = 300


class DnsInput(BaseModel):
    """What the DNS set-up of an IP starts from."""

    address: str
    deadline_hours: float | None = Field(None, gt=0, description="None: the installation's setting.")


class DnsResult(BaseModel):
    """How the set-up ended: verified, possibly after an escalation."""

    address: str
    verified: bool = True
    escalated: bool = False


class Reverify(BaseModel):
    """Ask every server now."""

    reason: str = ""


class ContactSupport(BaseModel):
    """Collect the evidence for support."""

    message: str = ""


class ChangeRecords(BaseModel):
    """New expected values by record key (``mx``, ``dmarc`` ...); an empty list drops an override."""

    values: dict[str, list[str]]


class RecordState(StrEnum):
    """What servers say about one record, worst first."""

    TIMEOUT = "timeout"
    SERVER_FAILURE = "server_failure"
    MISSING = "missing"
    WRONG = "wrong"
    EXTRA = "extra"
    PUBLISHED = "published"
    VISIBLE = "visible"


WORST_FIRST = list(RecordState)


class SetupState(StrEnum):
    """Where the set-up as a whole stands."""

    WAITING = "waiting"
    PUBLISHED = "published"
    VERIFIED = "verified"
    ESCALATED = "escalated"
    REFUSED = "refused"
    DRIFTED = "drifted"


class Record(BaseModel):
    """One record set to publish. Names are absolute without the final dot, in lower case."""

    key: str
    name: str
    type: str
    expected: list[str]
    required: bool = True
    ttl: int = TTL
    zone_hint: str = Field(description="A name that exists at or above the record; asked to find its zone.")
    serial: int | None = Field(None, description="Zone serial that first held the record, if we wrote it.")


class Answer(BaseModel):
    """What one server said to one question, as evidence."""

    server: str
    outcome: str = Field(description="answer, nodata, nxdomain, timeout, server_failure or lame")
    values: list[str] = []
    ttl: int | None = Field(None, description="Seconds left of the answer, or of the negative answer.")
    serial: int | None = None
    at: dt.datetime


class RecordView(BaseModel):
    """A record with what was found where."""

    record: Record
    published: RecordState = RecordState.MISSING
    visible: RecordState | None = Field(None, description="None: resolvers have not been asked yet.")
    servers: list[Answer] = []
    resolvers: list[Answer] = []

    @property
    def state(self) -> RecordState:
        """One word for both facts."""
        if self.published is not RecordState.PUBLISHED:
            return self.published
        return RecordState.VISIBLE if self.visible is RecordState.VISIBLE else RecordState.PUBLISHED


class Finding(BaseModel):
    """One trouble, with the record, what was expected, what was found where, and the fix."""

    code: str
    record: str
    detail: str
    fix: str
    blocking: bool = True


class Check(BaseModel):
    """One thing that receivers check beyond the presence of records."""

    name: str
    ok: bool
    detail: str


class Existing(BaseModel):
    """What a domain publishes before us."""

    txt: list[str] = []
    mx: list[str] = []
    dmarc: list[str] = []


class Wish(BaseModel):
    """What the record set of an IP is rendered from."""

    address: str
    hostname: str
    domain: str
    mx: str | None = Field(None, description="Host that was named for the domain's mail; None: none was.")
    dkim_selector: str = dkim.SELECTOR
    dkim_record: str
    report_address: str | None = None
    mta_sts_id: str | None = Field(None, description="Id of the MTA-STS policy; None leaves it out.")
    tls_rpt: str | None = Field(None, description="Address for TLS reports; None leaves it out.")
    overrides: dict[str, list[str]] = {}
    ttl: int = TTL


def reverse_name(address: str) -> str:
    """The name that holds the PTR of an address."""
    return ipaddress.ip_address(address).reverse_pointer


def reverse_hint(address: str) -> str:
    """The reverse name of the /24 (IPv4) or /64 (IPv6) around an address."""
    labels = reverse_name(address).split(".")
    return ".".join(labels[1:] if ipaddress.ip_address(address).version == 4 else labels[16:])


def _mx(wanted: str | None, present: list[str]) -> list[str]:
    """The MX that was named for the domain; what is published stays when none was, or when it is there already."""
    if wanted is None or any(value.split()[-1].rstrip(".").lower() == wanted for value in present):
        return present
    return [f"10 {wanted}"]


def render(wish: Wish, existing: Existing) -> list[Record]:
    """The record set of an IP, keeping what the domain already publishes.

    An MX or a valid DMARC policy that is there stays as it is; SPF is merged, never a second record.
    DMARC has no ``pct``, ``rf`` or ``ri`` (RFC 9989 drops them).

    Raises:
        Refused: an override names no record of the set.
    """
    host, domain = wish.hostname.lower().rstrip("."), wish.domain.lower().rstrip(".")
    inside = host == domain or host.endswith("." + domain)
    host_hint = domain if inside else host.partition(".")[2]
    rdtype = "A" if ipaddress.ip_address(wish.address).version == 4 else "AAAA"
    own_mx = f"10 {host}"
    policy = next((text for text in existing.dmarc if dmarc_problem(text) is None), None)
    reports = f"; rua=mailto:{wish.report_address}" if wish.report_address else ""
    records = [
        Record(key=rdtype.lower(), name=host, type=rdtype, expected=[wish.address], zone_hint=host_hint),
        Record(
            key="ptr",
            name=reverse_name(wish.address),
            type="PTR",
            expected=[host],
            zone_hint=reverse_hint(wish.address),
        ),
        Record(key="mx", name=domain, type="MX", expected=_mx(wish.mx, existing.mx) or [own_mx], zone_hint=domain),
        Record(
            key="spf",
            name=domain,
            type="TXT",
            expected=[spf.merge(existing.txt, wish.address)],
            zone_hint=domain,
        ),
        Record(
            key="dkim",
            name=dkim.name(wish.dkim_selector, domain),
            type="TXT",
            expected=[wish.dkim_record],
            zone_hint=domain,
        ),
        Record(
            key="dmarc",
            name=f"_dmarc.{domain}",
            type="TXT",
            expected=[policy or f"v=DMARC1; p=none{reports}"],
            zone_hint=domain,
        ),
    ]
    optional = (
        ("mta_sts", f"_mta-sts.{domain}", wish.mta_sts_id, "v=STSv1; id={}"),
        ("tls_rpt", f"_smtp._tls.{domain}", wish.tls_rpt, "v=TLSRPTv1; rua=mailto:{}"),
    )
    for key, name, value, shape in optional:
        if value:
            text = shape.format(value)
            records.append(
                Record(key=key, name=name, type="TXT", expected=[text], required=False, zone_hint=domain)
            )
    check_overrides([record.key for record in records], wish.overrides)
    return [_overridden(record, wish) for record in records]


def check_overrides(known: Sequence[str], overrides: dict[str, list[str]]) -> None:
    """Whether these values may be expected at the records with these keys.

    Raises:
        Refused: names the unknown record, or what is wrong with the value.
    """
    for key, values in overrides.items():
        field = f"values.{key}"
        if key not in known:
            raise Refused(
                f"There is no record {key!r}; this IP has {', '.join(sorted(known))}.",
                field=field,
                code="unknown_record",
            )
        if key in ("a", "aaaa") and values:
            raise Refused("The address record is the IP itself; it cannot be changed.", field=field)
        for value in values:
            problem = dmarc_problem(value) if key == "dmarc" else None
            if key == "spf" and not spf.is_spf(value):
                problem = "it does not begin with v=spf1"
            if problem:
                raise Refused(f"{value!r} is no {key.upper()} record: {problem}.", field=field)
        if key == "spf" and len(values) > 1:
            raise Refused("A domain has one SPF record; give one value.", field=field)


def _overridden(record: Record, wish: Wish) -> Record:
    expected = wish.overrides.get(record.key) or record.expected
    return record.model_copy(update={"expected": expected, "ttl": wish.ttl})


def dmarc_problem(text: str) -> str | None:
    """Why a text is no usable DMARC record (RFC 9989), or None."""
    if not text.replace(" ", "").lower().startswith("v=dmarc1"):
        return "it does not begin with v=DMARC1"
    policy = dkim.tags(text).get("p", "none").lower()
    if policy not in ("none", "quarantine", "reject"):
        return f"p={policy} is no policy; use none, quarantine or reject"
    return None


def relevant(record: Record, values: Sequence[str]) -> list[str]:
    """The values at a name that speak about this record; a TXT set is shared with others."""
    if record.key == "spf":
        return [value for value in values if spf.is_spf(value)]
    starts = {"dmarc": "v=dmarc1", "mta_sts": "v=stsv1", "tls_rpt": "v=tlsrptv1"}.get(record.key)
    if starts:
        return [value for value in values if value.replace(" ", "").lower().startswith(starts)]
    return list(values)


def judge(record: Record, answer: Answer) -> RecordState:
    """What one server's answer says about one record; ``published`` is the good one."""
    if answer.outcome == "timeout":
        return RecordState.TIMEOUT
    if answer.outcome in ("server_failure", "lame"):
        return RecordState.SERVER_FAILURE
    found = relevant(record, answer.values)
    if not found:
        return RecordState.MISSING
    right = [value for value in found if any(_same(record, wanted, value) for wanted in record.expected)]
    if not right:
        return RecordState.WRONG
    if record.type == "MX":
        held = all(any(_same(record, wanted, value) for value in found) for wanted in record.expected)
        return RecordState.PUBLISHED if held else RecordState.WRONG
    return RecordState.EXTRA if len(found) > len(record.expected) else RecordState.PUBLISHED


def _same(record: Record, wanted: str, found: str) -> bool:
    if record.key == "dkim":
        return dkim.same_key(wanted, found)
    if record.key == "spf":
        return spf.holds(wanted, found)
    if record.type in ("A", "AAAA"):
        return ipaddress.ip_address(wanted) == ipaddress.ip_address(found)
    if record.type in ("PTR", "MX"):
        return wanted.lower().rstrip(".") == found.lower().rstrip(".")
    return " ".join(wanted.split()) == " ".join(found.split())


def published_state(record: Record, answers: Sequence[Answer]) -> RecordState:
    """Published when every authoritative server has it, at the serial that first held it or a newer one."""
    if not answers:
        return RecordState.SERVER_FAILURE
    states = [judge(record, answer) for answer in answers]
    worst = min(states, key=WORST_FIRST.index)
    if worst is RecordState.PUBLISHED and not all(serial_reached(a.serial, record.serial) for a in answers):
        return RecordState.MISSING
    return worst


def visible_state(record: Record, answers: Sequence[Answer], quorum: float) -> RecordState:
    """Visible when a quorum of resolvers has it; else the worst of what they say."""
    if not answers:
        return RecordState.SERVER_FAILURE
    states = [judge(record, answer) for answer in answers]
    if states.count(RecordState.PUBLISHED) >= math.ceil(quorum * len(states)):
        return RecordState.VISIBLE
    return min(states, key=WORST_FIRST.index)


def findings(view: RecordView) -> list[Finding]:
    """What is wrong with one record, and the fix of each; harmless notes are not blocking."""
    record = view.record
    found = [_trouble(record, view)] if view.published is not RecordState.PUBLISHED else []
    if not found and view.visible not in (None, RecordState.VISIBLE):
        found = [_not_visible(view)]
    if record.key == "spf":
        others = sorted({v for a in view.servers for v in a.values if not spf.is_spf(v)})
        if others:
            found.append(
                Finding(
                    code="foreign_txt",
                    record=record.key,
                    detail=f"{record.name} also has {len(others)} TXT value(s) of somebody else.",
                    fix="Leave them; they do no harm and Warmpath does not touch them.",
                    blocking=False,
                )
            )
    return found


def _where(view: RecordView, state: RecordState) -> str:
    record = view.record
    at = [a for a in view.servers if judge(record, a) is state] or view.servers
    said = "; ".join(f"{a.server}: {', '.join(relevant(record, a.values)) or a.outcome}" for a in at[:6])
    return said or "no server answered"


def _trouble(record: Record, view: RecordView) -> Finding:
    state, expected = view.published, " + ".join(record.expected)
    what, where = f"{record.type} {record.name}", _where(view, view.published)
    vendor = "Ask the IP's vendor to set" if record.key == "ptr" else "Add at the DNS of your domain"
    code, fix = state.value, ""
    if state is RecordState.MISSING:
        code = "missing_ptr" if record.key == "ptr" else "missing"
        lagging = any(judge(record, a) is RecordState.PUBLISHED for a in view.servers)
        code = "stale_server" if lagging else code
        fix = f"{vendor} {what} = {expected}."
        if lagging:
            fix = "One name server still serves an older zone: wait for its transfer, or check it."
    elif state is RecordState.WRONG:
        code = "wrong_ptr" if record.key == "ptr" else "wrong"
        fix = f"Change {what} to {expected}."
        if record.key == "ptr":
            fix = f"Ask the IP's vendor to change the PTR of {record.name} to {expected}."
    elif state is RecordState.EXTRA:
        code = {"spf": "second_spf", "ptr": "second_ptr"}.get(record.key, "extra")
        fix = f"Remove the other value(s) at {what}; keep {expected}."
        if record.key == "spf":
            fix = f"Keep one SPF record, which holds all that the others did; remove the rest: {expected}"
    elif state is RecordState.TIMEOUT:
        code, fix = "server_timeout", "Bring the name server back, or take it out of the zone's NS set."
    else:
        code, fix = (
            "server_failure",
            "The server does not serve the zone properly: check it and its NS entry.",
        )
    return Finding(
        code=code, record=record.key, detail=f"{what}: expected {expected}; found {where}.", fix=fix,
        blocking=record.required,
    )  # fmt: skip


def _not_visible(view: RecordView) -> Finding:
    left = max((a.ttl or 0 for a in view.resolvers), default=0)
    said = "; ".join(f"{a.server}: {', '.join(a.values) or a.outcome}" for a in view.resolvers[:6])
    return Finding(
        code="not_visible",
        record=view.record.key,
        detail=f"{view.record.type} {view.record.name} is published, but resolvers still say {said}.",
        fix=f"Wait: what they hold runs out in at most {left} s.",
        blocking=view.record.required,
    )


def ready(views: Sequence[RecordView]) -> bool:
    """Whether every required record is published and visible."""
    return all(v.state is RecordState.VISIBLE for v in views if v.record.required)


def quoted(text: str) -> str:
    """A TXT value as zone-file strings of at most 255 bytes each."""
    raw = text.encode()
    parts = [raw[i : i + 255].decode() for i in range(0, len(raw), 255)] or [""]
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)


def zone_value(record: Record, value: str) -> str:
    """A value as it stands in a zone file."""
    if record.type == "TXT":
        return quoted(value)
    return f"{value.rstrip('.')}." if record.type in ("PTR", "MX") else value


def zone_file(records: Sequence[Record]) -> str:
    """The records as a zone file to paste; the PTR is a comment, since it belongs to the IP's vendor."""
    lines = ["; Records of a sending IP. Replace an SPF record that is there; never keep two."]
    for record in records:
        for value in record.expected:
            line = f"{record.name}. {record.ttl} IN {record.type} {zone_value(record, value)}"
            lines.append(f"; at the IP's vendor: {line}" if record.type == "PTR" else line)
    return "\n".join(lines) + "\n"
