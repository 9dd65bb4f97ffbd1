"""Reports of Amazon SES that its notification service sends as mail: JSON in the text, with a footer or an envelope."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
from typing import Any

from domain.reports import arf, plain
from domain.reports.model import Action, Feedback, Original, Outcome

_ACTIONS = {
    "bounce": Action.FAILED,
    "deliverydelay": Action.DELAYED,
    "delivery": Action.DELIVERED,
}
_PARTS = {"deliverydelay": "deliveryDelay"}
_LISTS = ("bouncedRecipients", "delayedRecipients", "complainedRecipients", "recipients")
#: Mail that Amazon never sent, since the address is on a list.
_NOT_SENT = frozenset({"Suppressed", "OnAccountSuppressionList"})

#: What it is about, what is said of each recipient, or an opinion and whose it is.
Said = tuple[Original, tuple[Outcome, ...], Feedback | None, tuple[str, ...]]


def read(text: str) -> Said | None:
    """What a text says, None when it is no bounce, delay, delivery or complaint of Amazon SES."""
    told = _object(text)
    told = _object(told["Message"]) if isinstance(told.get("Message"), str) else told
    kind = _text(told.get("notificationType") or told.get("eventType")).lower()
    mail, part = told.get("mail"), told.get(_PARTS.get(kind, kind))
    if not isinstance(mail, dict) or not isinstance(part, dict):
        return None
    listed: list[Any] = next((part[name] for name in _LISTS if isinstance(part.get(name), list)), [])
    rows = [one if isinstance(one, dict) else {"emailAddress": one} for one in listed]
    if kind == "complaint":
        feedback = _text(part.get("complaintFeedbackType")).lower()
        # Without a type Amazon was told of a complaint and of nothing more.
        complaint = (not feedback or feedback in arf.COMPLAINTS) and not part.get("complaintSubType")
        opinion = Feedback(type=feedback or "abuse", complaint=complaint)
        return _original(mail), (), opinion, tuple(filter(None, (_address(one) for one in rows)))
    if kind not in _ACTIONS or _text(part.get("bounceSubType")) in _NOT_SENT:
        return None
    lasting = part.get("bounceType") != "Transient"
    outcomes = tuple(_outcome(one, _ACTIONS[kind], part, lasting=lasting) for one in rows)
    return (_original(mail), outcomes, None, ()) if outcomes else None


def _object(text: str) -> dict[str, Any]:
    """The JSON object that a text begins with; what comes behind it is a footer."""
    start = text.lstrip()
    if not start.startswith("{"):
        return {}
    try:
        found, _ = json.JSONDecoder().raw_decode(start)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _address(row: dict[str, Any]) -> str:
    return _text(row.get("emailAddress"))[:320].lower()


def _outcome(row: dict[str, Any], action: Action, part: dict[str, Any], *, lasting: bool) -> Outcome:
    named = _text(row.get("action")).lower()
    action = Action(named) if named in tuple(Action) else action
    said = _text(row.get("diagnosticCode")) or _text(part.get("smtpResponse"))
    status = _text(row.get("status"))
    text, reply = plain.decide([said.removeprefix("smtp; ")] if said else [], status)
    if reply.hard and (action is not Action.FAILED or not lasting):
        reply = reply.model_copy(update={"hard": False})
    return Outcome(
        recipient=_address(row), action=action, text=text[:1_000], reply=reply, at=_date(part.get("timestamp"))
    )


def _original(mail: dict[str, Any]) -> Original:
    tags = mail.get("tags")
    address = tags.get("ses:outgoing-ip") if isinstance(tags, dict) else None
    whom = mail.get("destination")
    return Original(
        message_id=_text(mail.get("messageId"))[:500],
        sender=_text(mail.get("source"))[:320],
        date=_date(mail.get("timestamp")),
        source=_text(address[0]) if isinstance(address, list) and address else "",
        recipient=_text(whom[0]).lower() if isinstance(whom, list) and len(whom) == 1 else "",
    )


def _date(value: Any) -> str:
    """An instant as header fields of mail write it; empty when it is none."""
    try:
        moment = dt.datetime.fromisoformat(_text(value))
    except ValueError:
        return ""
    return email.utils.format_datetime(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))
