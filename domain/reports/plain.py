"""Bounces in words only: qmail, Exim, old Sendmail and Exchange, and whoever made up a format of his own.

They share one shape: somewhere a line names the address, the lines after it say why, and below a line that
announces it lies the mail that came back.
"""

from __future__ import annotations

import html
import re

from domain.replies import classify
from domain.reports import mime
from domain.reports.model import Action, Outcome

#: Text beyond this is the mail that came back, not the reason.
LOOKED_AT = 20_000
MOST_RECIPIENTS = 50

_DAEMON = re.compile(
    r"mailer[-_ ]?daemon|postmaster|mail delivery|mail-daemon|mdaemon|delivery (?:subsystem|status)|mailsystem|bounce",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"undeliver|returned (?:mail|to sender)|failure notice|"
    r"delivery (?:status|failure|failed|notification|problem|error|report)|delivery .{0,20}fail|"
    r"could ?n[o']t be delivered|"
    r"mail (?:delivery )?(?:failed|failure|error|system error)|non(?:-| )?deliver|not delivered|unzustellbar|"
    r"warning: (?:could not send|message .{0,40}delayed)|message (?:not delivered|delayed|undeliver)|"
    r"unable to deliver|no se puede entregar|mail could not be|bounce|returned mail|delivery delayed|rejected mail|"
    r"nicht zugestellt|remise|non remis|impossibile|mancato recapito|user unknown|undelivered",
    re.IGNORECASE,
)
_DELAY = re.compile(
    r"warning|delayed|will (?:keep|continue) (?:trying|to (?:try|be))|still being (?:tried|attempted)|"
    r"do not need to (?:resend|do anything)|no action is required|not yet been delivered|will be retried",
    re.IGNORECASE,
)
_COPY = re.compile(
    r"^[ \t>]*(?:-{2,} ?(?:below this line is a copy|this is a copy|original message|returned message|the body of the|"
    r"unsent message|message header|the header of|message headers|text of|forwarded message|original mail|"
    r"undelivered message|enclosed is a copy|copy of|return message|included is a copy)|"
    r"(?:the )?original message (?:headers?|follows)|original message headers|message headers follow|"
    r"your (?:original )?message (?:follows|reads)|unsent message below|----- ?message header follows|"
    r"the following is a copy|-{4,} ?(?:original|returned|message))",
    re.IGNORECASE | re.MULTILINE,
)
_HEADER_BLOCK = re.compile(
    r"^(?:received|return-path|from|message-id|date|subject): .{1,500}$", re.IGNORECASE | re.MULTILINE
)
_MAIL = r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,8}"
#: A line that starts with an address, as reports name the one that failed.
_HEAD = re.compile(
    rf"^[ \t>*+-]{{0,12}}(?:(?:to|(?:failed |final-)?recipient|address|mailbox|user|rcpt to|e-?mail|"
    rf"destinataire) ?[:=] ?)?[\"'<(\[]{{0,2}}(?:rfc822; ?|smtp: ?|mailto:)?({_MAIL})",
    re.IGNORECASE | re.MULTILINE,
)
_ANY = re.compile(_MAIL, re.IGNORECASE)
_TAG = re.compile(
    r"<(?:/?(?:p|div|br|td|tr|table|html|body|span|font|b|i|a|ul|li|h\d|head|style|meta|title)\b)[^<>]{0,500}>",
    re.IGNORECASE,
)
_CODE = re.compile(r"(?<![\d.])(?:[45]\d\d[ -]|#?[45]\.\d\.\d{1,3}(?!\.?\d))")


def is_bounce(mail: mime.Entity, automatic: bool) -> bool:
    """Whether a mail that is no standard report is a bounce: a daemon sent it, or nobody did, and it says so."""
    if "x-failed-recipients" in mail.headers:
        return True
    subject = _SUBJECT.search(mime.plain(mail.header("subject"))) is not None
    daemon = _DAEMON.search(mail.header("from")[:500]) is not None
    nobody = mail.header("return-path").strip() == "<>"
    return (daemon and not automatic) or (subject and (daemon or nobody or not automatic))


def first_text(parts: list[mime.Entity]) -> str:
    """The words for people: the first text part, up to the mail that came back."""
    for part in parts:
        if part.type in ("text/plain", "text", "") and not part.parts and part.body.strip():
            return _before_copy(part.text()[:LOOKED_AT])
    for part in parts:
        if part.type == "text/html":
            return _before_copy(html.unescape(_TAG.sub("\n", part.text()[: 3 * LOOKED_AT]))[:LOOKED_AT])
    return ""


def _before_copy(text: str) -> str:
    found = _COPY.search(text)
    return text[: found.start()] if found else text


def quoted_message(parts: list[mime.Entity]) -> str:
    """Headers of the mail that is quoted at the end of a text, empty without one."""
    for part in parts:
        if part.type in ("text/plain", "text") and not part.parts:
            text = part.text()[: 3 * LOOKED_AT]
            found = _COPY.search(text)
            after = text[found.end() :] if found else ""
            start = _HEADER_BLOCK.search(after)
            if start:
                return after[start.start() :].partition("\n\n")[0][:LOOKED_AT]
    return ""


def outcomes(mail: mime.Entity, parts: list[mime.Entity]) -> tuple[Outcome, ...]:
    """Outcomes of the addresses that the text names, each with the lines that follow it."""
    text = first_text(parts)
    known = [one.lower() for one in _ANY.findall(mail.header("x-failed-recipients")[:5_000])]
    delayed = bool(_DELAY.search(mime.plain(mail.header("subject")))) or (
        "x-failed-recipients" not in mail.headers and bool(_DELAY.search(text[:3_000])) and not _CODE.search(text)
    )
    own = {one.lower() for one in _ANY.findall(f"{mail.header('to')} {mail.header('from')}"[:1_000])}
    named = known or [
        one for one in dict.fromkeys(found[1].lower() for found in _HEAD.finditer(text)) if one not in own
    ]
    if not named:
        named = [one for one in dict.fromkeys(found.lower() for found in _ANY.findall(text)) if one not in own][:1]
    if not named and not _CODE.search(text):
        return ()
    found: list[Outcome] = []
    for recipient in named[:MOST_RECIPIENTS] or [""]:
        why = about(text, recipient, alone=len(named) <= 1)
        reply = classify(why)
        action = Action.DELAYED if delayed else Action.FAILED
        if delayed and reply.hard:
            reply = reply.model_copy(update={"hard": False})
        found.append(Outcome(recipient=recipient, action=action, text=why[:1_000], reply=reply))
    return tuple(found)


def about(text: str, recipient: str, *, alone: bool) -> str:
    """What a text says of one recipient: from its line to the next blank line or address.

    When that names no reason, and the recipient is the only one, the first paragraph with a reply code is
    taken, else the whole text.
    """
    said = _after(text, recipient) if recipient else ""
    if said and (_CODE.search(said) or not alone) and len(said) > len(recipient) + 8:
        return said
    if alone:
        coded = _CODE.search(text)
        if coded:
            start = text.rfind("\n\n", 0, coded.start()) + 1
            return _joined(text[start : coded.start() + 600].strip().partition("\n\n")[0])
        return said if len(said) > len(recipient) + 12 else _joined(text[:1_500])
    return said


def _after(text: str, recipient: str) -> str:
    place = text.lower().find(recipient)
    if place < 0:
        return ""
    rest = text[place + len(recipient) : place + len(recipient) + 1_500].lstrip(">)]\"'")
    lines: list[str] = []
    for line in rest.split("\n"):
        if lines and (not line.strip() or _HEAD.match(line)) and any(one.strip(" :.") for one in lines):
            break
        lines.append(line)
    said = _joined("\n".join(lines)).lstrip(":;,. ")
    return said


def _joined(text: str) -> str:
    return " ".join(text.split())
