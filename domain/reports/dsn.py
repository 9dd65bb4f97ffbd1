"""Delivery status notifications: one outcome a recipient, from the fields of its own group (RFC 3464, RFC 6533)."""

from __future__ import annotations

import re

from domain.replies import classify
from domain.reports import mime, plain
from domain.reports.model import Action, Outcome

TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})

#: More recipients than this in one report are not sent by any mail system.
MOST_RECIPIENTS = 1_000

_ACTIONS = {**{action.value: action for action in Action}, **dict.fromkeys(("failure", "fail", "error"), Action.FAILED)}
_GROUP = re.compile(r"^(?:final-recipient|action|reporting-mta) ?:", re.IGNORECASE | re.MULTILINE)
_QUEUE_ID = re.compile(r"^X-[A-Za-z0-9-]{1,40}-Queue-ID: *([0-9A-Za-z]{6,30})\s*$", re.IGNORECASE | re.MULTILINE)
_BLANK = re.compile(r"\n[ \t]*\n")
_STATUS = re.compile(r"([245])\.\d{1,3}\.\d{1,3}")
_ESCAPED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
#: An address that mail can be sent to from anywhere.
_INTERNET = re.compile(r"^[^/@:\s][^@:\s]*@[^@\s.]+(?:\.[^@\s.]+)+$")
#: A status that says more than most words beside it.
_TELLING = re.compile(r"[45]\.(?:[12]\.[1-9]\d?|4\.7)")
_GATEWAY = re.compile(r"/(?:dd\.)?rfc-?822=([^/;]{1,320})", re.IGNORECASE)
_XTEXT = re.compile(r"\+([0-9A-F]{2})")


def outcomes(status: mime.Entity, parts: list[mime.Entity]) -> tuple[Outcome, ...]:
    """Outcomes of all recipients that a status part names."""
    return _outcomes(status.text(), plain.first_text(parts))


def queue_id(status: mime.Entity) -> str:
    """Under which id a Postfix that reports has, or had, the mail; empty when it names none."""
    found = _QUEUE_ID.search(status.text())
    return found[1] if found else ""


def inline(text: str) -> tuple[Outcome, ...]:
    """Outcomes of fields that stand in a text without a part of their own: a relay took the boundaries out."""
    start = _GROUP.search(text)
    return _outcomes(text[start.start() :], text[: start.start()]) if start else ()


def _outcomes(text: str, explanation: str) -> tuple[Outcome, ...]:
    groups = [mime.fields(group) for group in _BLANK.split(text.strip("\n"))[: MOST_RECIPIENTS + 1]]
    whole: mime.Headers = {}
    found: list[Outcome] = []
    for group in groups:
        if "final-recipient" not in group and "original-recipient" not in group and "action" not in group:
            whole |= group
            continue
        found.append(_outcome(group, whole, explanation, alone=len(groups) <= 2))
    return tuple(found)


def _outcome(group: mime.Headers, whole: mime.Headers, explanation: str, *, alone: bool) -> Outcome:
    final, original = (_one(group, f"{name}-recipient") for name in ("final", "original"))
    # Behind a gateway the last name may be of X.400, of a mailbox, or of a host that nobody outside knows.
    recipient = next(filter(_INTERNET.search, (address(final), address(original))), address(final) or address(original))
    status = _STATUS.search(_one(group, "status"))
    action = _action(_one(group, "action"), status[1] if status else "")
    told = group.get("diagnostic-code", [])
    # Of several codes the remote server's own counts; the last is nearest to it.
    diagnostic = next((one for one in told if one.lower().lstrip().startswith("smtp")), told[-1] if told else "")
    text = _words(diagnostic)
    remote = _type_and_value(_one(group, "remote-mta"))[1] or _type_and_value(_one(whole, "reporting-mta"))[1]
    told_by = [text] if text else _explained(explanation, recipient, status[0] if status else "", alone=alone)
    text, reply = plain.decide(
        told_by or [_one(group, "status")], status[0] if status else "", remote.partition(":")[0]
    )
    if action is not Action.FAILED and reply.hard:
        reply = reply.model_copy(update={"hard": False})
    return Outcome(
        recipient=recipient,
        original=address(_one(group, "original-recipient")),
        action=action,
        text=text[:1_000],
        reply=reply,
        at=_one(group, "last-attempt-date")[:100],
    )


def _explained(explanation: str, recipient: str, status: str, *, alone: bool) -> list[str]:
    """What the words for people say of a recipient whose group has no reply, the likeliest first.

    They hold advertising, footers of virus scanners and addresses for help. Where the status itself is about an address
    or a mailbox, or says that time is over, only words count that have a code or mean the same.
    """
    said = plain.about(explanation, recipient, alone=alone)
    if not _TELLING.fullmatch(status):
        return said
    meant = classify(status).class_
    coded = [one for one in said if plain.CODE.search(one)]
    return [*coded, *(one for one in said if one not in coded and classify(one).class_ is meant), status]


def _one(group: mime.Headers, name: str) -> str:
    return (group.get(name) or [""])[0]


def _words(diagnostic: str) -> str:
    """The reply in a Diagnostic-Code; its type stays only where it tells that no server spoke."""
    kind, value = _type_and_value(diagnostic)
    return value if kind in ("smtp", "") else diagnostic.strip()


def _type_and_value(value: str) -> tuple[str, str]:
    """``smtp; 550 ...`` as its two halves; a value without a type is all value."""
    kind, semicolon, rest = value.partition(";")
    if semicolon and re.fullmatch(r"\s*[A-Za-z][A-Za-z0-9.-]{0,30}\s*", kind):
        return kind.strip().lower(), rest.strip()
    return "", value.strip()


def _action(told: str, digit: str) -> Action:
    """The action as told; when it is missing or no action, what the status says, else delayed: no bounce is made up."""
    word = told.partition("(")[0].strip().lower()
    return _ACTIONS.get(word) or {"5": Action.FAILED, "2": Action.DELIVERED}.get(digit, Action.DELAYED)


def address(value: str) -> str:
    """The address in a recipient field of any type, in lower case (RFC 3464, RFC 6533)."""
    kind, found = _type_and_value(value)
    found = found.strip().strip("<>").strip()
    if kind == "x400" and (inside := _GATEWAY.search(found)):
        return inside[1].replace("(a)", "@").replace("(A)", "@")[:320].lower()
    if kind == "utf-8":
        found = _ESCAPED.sub(lambda code: _character(code[1]), found)
    elif kind == "rfc822" and "+" in found and "=" not in found:
        found = _XTEXT.sub(lambda code: chr(int(code[1], 16)) if code[1] in ("2B", "3D") else code[0], found)
    return found[:320].lower()


def _character(code: str) -> str:
    number = int(code, 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "\ufffd"
