"""The DNS of a sending IP: its record set, and the words for what is found (judged in ``dns_findings``)."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from enum import StrEnum

from pydantic import BaseModel, Field

from domain import dkim, spf
from domain.dns_options import DnsOptions, sts_policy, texts
from domain.refusals import Refused
from domain.words import Stage

#: TTL of records that Warmpath writes, seconds: short enough to correct a mistake within minutes.
TTL = 300

#: Records that belong to the sending domain and are the same for every IP of it; the others are the IP's own.
DOMAIN_KEYS = ("mx", "spf", "dkim", "dmarc", "mta_sts", "tls_rpt", "bimi")


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


#: Stages in which the set-up decides where the IP stands; later ones are the business of other journeys.
BEFORE_ACTIVE = (Stage.SELECTED, Stage.PURCHASING, Stage.AWAITING_DNS)


class ChangeRecords(BaseModel):
    """New expected values by record key (``mx``, ``dmarc`` ...); an empty list drops an override.

    ``options`` replace all options of the domain; None leaves them as they are.
    """

    values: dict[str, list[str]] = {}
    options: DnsOptions | None = None


class DnsInput(BaseModel):
    """What the DNS set-up of an IP starts from."""

    address: str
    deadline_hours: float | None = Field(None, gt=0, description="None: the installation's setting.")
    vendor_queue: str | None = Field(None, description="Task queue of slow or paid calls; None: the journey's own.")
    reopened: bool = Field(False, description="Verified before; begins with a change by ``change_records``.")


class RecordState(StrEnum):
    """What servers say about one record, worst first."""

    TIMEOUT = "timeout"
    SERVER_FAILURE = "server_failure"
    MISSING = "missing"
    WRONG = "wrong"
    EXTRA = "extra"
    PUBLISHED = "published"
    VISIBLE = "visible"


class SetupState(StrEnum):
    """Where the set-up as a whole stands."""

    NONE = "none"
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
    others: list[str] = Field([], description="Other IPs of the domain; SPF without them is no fault of this IP.")
    previous: list[str] = Field(
        [], description="What was expected before another IP's change; as good until the new values appear."
    )


class Outcome(StrEnum):
    """How one server reacted to one question."""

    ANSWER = "answer"
    NODATA = "nodata"
    NXDOMAIN = "nxdomain"
    TIMEOUT = "timeout"
    #: SERVFAIL and other failures.
    SERVER_FAILURE = "server_failure"
    #: It does not serve the zone: REFUSED, NOTAUTH, or a pointer to other servers.
    LAME = "lame"
    #: It answered without the AA flag: out of a cache, or from a zone that has run out.
    NO_AUTHORITY = "no_authority"


class Answer(BaseModel):
    """What one server said to one question, as evidence."""

    server: str
    outcome: str = Field(description="see :class:`Outcome`")
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
    parent_ns: list[str] = Field([], description="Delegation at the parent, where it differs from the zone's.")
    zone_ns: list[str] = Field([], description="The zone's own NS set, where the parent's differs.")

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
    fix: str = ""
    blocking: bool = Field(True, description="False: of an optional record; never holds the set-up up.")
    shared: bool = Field(False, description="Of the domain, and so the same for each of its IPs.")


class Wrong(BaseModel):
    """What keeps a set-up from being verified and how to put it right, a line each."""

    own: list[str] = Field([], description="Of the IP alone: its address record, its PTR, its HELO name.")
    shared: list[str] = Field([], description="Of the domain, and so the same for each of its IPs.")

    @property
    def lines(self) -> list[str]:
        """All of it."""
        return [*self.own, *self.shared]


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
    dkim_record: str | None = Field(description="None: the key is not ours (an imported IP) and is not watched.")
    report_address: str | None = None
    siblings: list[str] = Field([], description="Other IPs of the domain, which the one SPF record names too.")
    known_mx: list[str] = Field([], description="MX that an IP of the domain was set up with before.")
    options: DnsOptions = DnsOptions()
    overrides: dict[str, list[str]] = {}
    ttl: int = TTL


def reverse_name(address: str) -> str:
    """The name that holds the PTR of an address."""
    return ipaddress.ip_address(address).reverse_pointer


def reverse_hint(address: str) -> str:
    """The reverse name of the /24 (IPv4) or /64 (IPv6) around an address."""
    labels = reverse_name(address).split(".")
    return ".".join(labels[1:] if ipaddress.ip_address(address).version == 4 else labels[16:])


def render(wish: Wish, existing: Existing) -> list[Record]:
    """The record set of an IP, keeping what the domain already publishes.

    An MX or a valid DMARC policy that is there stays as it is; SPF is merged, never a second record.
    DMARC has no ``pct``, ``rf`` or ``ri`` (RFC 9989 drops them).

    Raises:
        Refused: an override names no record of the set, or the options contradict each other.
    """
    host, domain = wish.hostname.lower().rstrip("."), wish.domain.lower().rstrip(".")
    inside = host == domain or host.endswith("." + domain)
    host_hint = domain if inside else host.partition(".")[2]
    rdtype = "A" if ipaddress.ip_address(wish.address).version == 4 else "AAAA"
    mx = wish.overrides.get("mx") or wish.options.mx or _mx(wish, existing, host)
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
        Record(key="mx", name=domain, type="MX", expected=mx, zone_hint=domain),
        Record(
            key="spf",
            name=domain,
            type="TXT",
            expected=[_spf(wish, existing)],
            zone_hint=domain,
            others=wish.siblings,
        ),
        Record(
            key="dmarc",
            name=f"_dmarc.{domain}",
            type="TXT",
            expected=[policy or f"v=DMARC1; p=none{reports}"],
            zone_hint=domain,
        ),
    ]
    if wish.dkim_record is not None:
        name = dkim.name(wish.dkim_selector, domain)
        records.insert(4, Record(key="dkim", name=name, type="TXT", expected=[wish.dkim_record], zone_hint=domain))
    for key, name, text in texts(wish.options, domain, sts_policy(wish.options, mx)):
        records.append(Record(key=key, name=name, type="TXT", expected=[text], required=False, zone_hint=domain))
    check_overrides([record.key for record in records], wish.overrides)
    return [_overridden(record, wish) for record in records]


def _mx(wish: Wish, existing: Existing, host: str) -> list[str]:
    """The MX that was named for the domain; what is published stays when none was, or when it is there already."""
    held = existing.mx or wish.known_mx
    wanted = (wish.mx or ("" if held else host)).lower().rstrip(".")
    if not wanted or any(value.split()[-1].rstrip(".").lower() == wanted for value in held):
        return held
    return [f"10 {wanted}"]


def _spf(wish: Wish, existing: Existing) -> str:
    """One record for every IP of the domain, out of what was typed or what is there."""
    texts_ = wish.overrides.get("spf") or existing.txt
    merged = spf.merge(texts_, wish.address)
    for sibling in wish.siblings:
        merged = spf.merge([merged], sibling)
    return merged


def with_siblings(records: Sequence[Record], siblings: Sequence[str]) -> list[Record]:
    """The records with every other IP of the domain in the one SPF record."""

    def named(record: Record) -> Record:
        text = record.expected[0]
        for sibling in siblings:
            text = spf.merge([text], sibling)
        return record.model_copy(update={"expected": [text], "others": list(siblings)})

    return [named(record) if record.key == "spf" else record for record in records]


def adopt(held: Sequence[Record], shared: Sequence[Record], address: str, *, verified: bool) -> list[Record]:
    """The record set of another IP of the domain after one IP's set-up changed what they share.

    Args:
        held: the other IP's records now.
        shared: the records of the IP whose set-up changed; those of :data:`DOMAIN_KEYS` are taken over.
        address: the other IP.
        verified: its set-up is verified: what was right until now stays right until the new values appear,
            since a change that is still on its way is no drift.
    """
    domain = [record for record in shared if record.key in DOMAIN_KEYS]
    before = {record.key: record for record in held}
    everyone = [*next((r.others for r in domain if r.key == "spf"), []), *_own_addresses(shared)]
    taken: list[Record] = []
    for record in domain:
        old = before.get(record.key)
        previous: list[str] = []
        if verified and old is not None and old.name == record.name:
            previous = old.previous
            if old.expected != record.expected:
                previous = old.previous or old.expected
        others = [one for one in everyone if one != address] if record.key == "spf" else []
        taken.append(record.model_copy(update={"previous": previous, "others": others}))
    # A key that an imported IP does not sign with is not watched for it.
    if held and "dkim" not in before:
        taken = [record for record in taken if record.key != "dkim"]
    return [record for record in held if record.key not in DOMAIN_KEYS] + taken


def _own_addresses(records: Sequence[Record]) -> list[str]:
    return [value for record in records if record.key in ("a", "aaaa") for value in record.expected]


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
            problem = _typed_dmarc_problem(value) if key == "dmarc" else None
            if key == "spf" and not spf.is_spf(value):
                problem = "it does not begin with v=spf1"
            if problem:
                raise Refused(f"{value!r} is no {key.upper()} record: {problem}.", field=field)
        if key == "spf" and any(spf.is_open(value) for value in values):
            raise Refused("With +all everybody may send in the domain's name; end the record with ~all.", field=field)
        if key == "spf" and len(values) > 1:
            raise Refused("A domain has one SPF record; give one value.", field=field)


def _overridden(record: Record, wish: Wish) -> Record:
    # SPF has the typed value in it already, with every IP of the domain merged in.
    typed = None if record.key == "spf" else wish.overrides.get(record.key)
    expected = typed or record.expected
    return record.model_copy(update={"expected": expected, "ttl": wish.ttl})


def dmarc_problem(text: str) -> str | None:
    """Why a text is no usable DMARC record (RFC 9989), or None."""
    if not text.replace(" ", "").lower().startswith("v=dmarc1"):
        return "it does not begin with v=DMARC1"
    policy = dkim.tags(text).get("p", "none").lower()
    if policy not in ("none", "quarantine", "reject"):
        return f"p={policy} is no policy; use none, quarantine or reject"
    return None


#: Tags that RFC 9989 took away; receivers ignore them, and they are never written.
DMARC_GONE = ("pct", "rf", "ri")


def _typed_dmarc_problem(text: str) -> str | None:
    gone = [tag for tag in DMARC_GONE if tag in dkim.tags(text)]
    if gone:
        return f"RFC 9989 knows no {', '.join(gone)} any more; leave it out"
    return dmarc_problem(text)


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
    """The records as a zone file to paste; the PTR is a comment, since it stands in the reverse zone."""
    lines = ["; Records of a sending IP. Replace an SPF record that is there; never keep two."]
    for record in records:
        for value in record.expected:
            line = f"{record.name}. {record.ttl} IN {record.type} {zone_value(record, value)}"
            lines.append(f"; in the reverse zone, the vendor's or yours: {line}" if record.type == "PTR" else line)
    return "\n".join(lines) + "\n"
