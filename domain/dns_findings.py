"""What servers' answers say about a record, and the fix of each trouble."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Sequence

from domain import dkim, spf
from domain.dns import Answer, Finding, Outcome, Record, RecordState, RecordView
from domain.propagation import next_ask, serial_reached

WORST_FIRST = list(RecordState)
#: Who sets a PTR: whoever holds the address. An imported one may be either's.
REVERSE = "by the IP's vendor, or in the reverse zone where that is your own"


def relevant(record: Record, values: Sequence[str]) -> list[str]:
    """The values at a name that speak about this record; a TXT set is shared with others."""
    if record.key == "spf":
        return [value for value in values if spf.is_spf(value)]
    starts = {"dmarc": "v=dmarc1", "mta_sts": "v=stsv1", "tls_rpt": "v=tlsrptv1", "bimi": "v=bimi1"}.get(record.key)
    if starts:
        return [value for value in values if value.replace(" ", "").lower().startswith(starts)]
    return list(values)


def judge(record: Record, answer: Answer) -> RecordState:
    """What one server's answer says about one record; ``published`` is the good one."""
    if answer.outcome == Outcome.TIMEOUT:
        return RecordState.TIMEOUT
    if answer.outcome in (Outcome.SERVER_FAILURE, Outcome.LAME, Outcome.NO_AUTHORITY):
        return RecordState.SERVER_FAILURE
    found = relevant(record, answer.values)
    if not found:
        return RecordState.MISSING
    state = _compared(record, record.expected, found)
    if record.previous and _compared(record, record.previous, found) is RecordState.PUBLISHED:
        return RecordState.PUBLISHED
    return state


def _compared(record: Record, expected: Sequence[str], found: Sequence[str]) -> RecordState:
    right = [value for value in found if any(_same(record, wanted, value) for wanted in expected)]
    if not right:
        return RecordState.WRONG
    if record.type == "MX":
        held = all(any(_same(record, wanted, value) for value in found) for wanted in expected)
        return RecordState.PUBLISHED if held else RecordState.WRONG
    return RecordState.EXTRA if len(found) > len(expected) else RecordState.PUBLISHED


def _same(record: Record, wanted: str, found: str) -> bool:
    if record.key == "dkim":
        return dkim.same_key(wanted, found)
    if record.key == "spf":
        return spf.holds(wanted, found, without=record.others)
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
    found = _troubles(record, view) if view.published is not RecordState.PUBLISHED else []
    if not found and view.visible not in (None, RecordState.VISIBLE):
        found = [_not_visible(view)]
    if record.key == "spf":
        if any(spf.is_open(value) for answer in view.servers for value in relevant(record, answer.values)):
            found.append(
                Finding(
                    code="open_spf",
                    record=record.key,
                    detail=f"The SPF record of {record.name} holds +all: everybody may send in its name.",
                    fix="End it with ~all or -all, once it names all who send for the domain.",
                    blocking=False,
                )
            )
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


def _said(record: Record, answers: Sequence[Answer]) -> str:
    """What servers said, each with the serial it said it at."""
    said = []
    for a in answers[:6]:
        serial = f" (serial {a.serial})" if a.serial is not None else ""
        none = "other values only" if a.values else a.outcome
        said.append(f"{a.server}{serial}: {', '.join(relevant(record, a.values)) or none}")
    return "; ".join(said) or "no server answered"


def _troubles(record: Record, view: RecordView) -> list[Finding]:
    state, expected = view.published, " + ".join(record.expected)
    what = f"{record.type} {record.name}"
    bad = [a for a in view.servers if judge(record, a) is state] or view.servers

    def finding(code: str, fix: str, at: Sequence[Answer] = bad, detail: str = "") -> Finding:
        detail = detail or f"{what}: expected {expected}; found {_said(record, at)}."
        return Finding(code=code, record=record.key, detail=detail, fix=fix, blocking=record.required)

    if state is RecordState.TIMEOUT:
        return [finding("server_timeout", "Bring the name server back, or take it out of the zone's NS set.")]
    if state is RecordState.SERVER_FAILURE:
        return _server_troubles(view, finding)
    behind = _behind(record, view.servers)
    if behind:
        return [
            finding(
                "stale_server",
                "One name server still serves an older zone: wait for its transfer, or check it.",
                behind,
            )
        ]
    held = {a.serial for a in view.servers if judge(record, a) is RecordState.PUBLISHED}
    if held and any(a.serial in held for a in bad):
        return [
            finding(
                "servers_disagree",
                "The name servers claim the same zone and answer differently: let all take it from one primary.",
                view.servers,
            )
        ]
    return [finding(*_record_trouble(record, state, what, expected))]


def _record_trouble(record: Record, state: RecordState, what: str, expected: str) -> tuple[str, str]:
    """Code and fix of a record that every server says alike, and wrong."""
    ptr = record.key == "ptr"
    if state is RecordState.MISSING:
        if ptr:
            return "missing_ptr", f"Have {what} = {expected} set: {REVERSE}."
        return "missing", f"Add at the DNS of your domain {what} = {expected}."
    if state is RecordState.WRONG:
        if ptr:
            return "wrong_ptr", f"Have the PTR of {record.name} changed to {expected}: {REVERSE}."
        if record.type == "MX":
            return "wrong", f"Add {what} = {expected}, beside what is there: mail that comes to you goes by it."
        return "wrong", f"Change {what} to {expected}."
    code = {"spf": "second_spf", "ptr": "second_ptr"}.get(record.key, "extra")
    if record.key == "spf":
        return code, f"Keep one SPF record, which holds all that the others did; remove the rest: {expected}"
    return code, f"Remove the other value(s) at {what}; keep {expected}."


def _behind(record: Record, answers: Sequence[Answer]) -> list[Answer]:
    """Servers with an older zone than one that has the record; empty where the newest zone lacks it, too."""
    good = [a for a in answers if judge(record, a) is RecordState.PUBLISHED]
    held = [a for a in good if serial_reached(a.serial, record.serial)]
    if not held:
        return good
    newest = [a.serial for a in held if a.serial is not None]
    behind = [a for a in answers if a not in held]
    older = all(
        a.serial is None or a in good or any(not serial_reached(a.serial, serial) for serial in newest) for a in behind
    )
    return behind if older else []


def _server_troubles(view: RecordView, finding: Callable[..., Finding]) -> list[Finding]:
    """Servers and delegation at fault: one finding for each kind."""
    found: list[Finding] = []
    parent, own = set(view.parent_ns), set(view.zone_ns)
    if own - parent and (parent or own):
        names = ", ".join(sorted(own - parent))
        found.append(
            finding(
                "ns_missing_at_parent",
                f"Add {names} to the delegation at your registrar, or take it out of the zone's NS set.",
                detail=f"The zone names {names} as name server; its parent delegates to {', '.join(sorted(parent))}.",
            )
        )
    if parent - own:
        names = ", ".join(sorted(parent - own))
        found.append(
            finding(
                "ns_missing_in_zone",
                f"Take {names} out of the delegation at your registrar, or add it to the zone's NS set.",
                detail=f"The parent delegates to {names}; the zone itself names {', '.join(sorted(own))}.",
            )
        )
    for outcome, code, fix in (
        (
            Outcome.LAME,
            "lame_server",
            "This server does not serve the zone: let it, or take it out of the delegation and the NS set.",
        ),
        (
            Outcome.NO_AUTHORITY,
            "not_authoritative",
            "This server answers without authority (AA): let it serve the zone itself, with a zone that has not "
            "run out, or take it out of the NS set.",
        ),
        (Outcome.SERVER_FAILURE, "server_failure", "The server fails for the zone: look into its log."),
    ):
        at = [a for a in view.servers if a.outcome == outcome]
        if at:
            found.append(finding(code, fix, at))
    if not found:
        found.append(finding("server_failure", "No name server of the zone can be found: check its delegation.", []))
    return found


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


def until_next_look(views: Sequence[RecordView], waited: float) -> float:
    """Seconds from a look to the next one.

    Args:
        waited: seconds between the handing out of the records and the look.
    """
    pending = [view for view in views if view.record.required and view.state is not RecordState.VISIBLE]
    return next_ask(
        published=bool(pending) and all(view.published is RecordState.PUBLISHED for view in pending),
        remaining_ttls=[
            answer.ttl or 0
            for view in pending
            for answer in view.resolvers
            if judge(view.record, answer) is not RecordState.PUBLISHED
        ],
        waited=waited,
    )
