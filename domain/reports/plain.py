"""Bounces in words only: qmail, Exim, old Sendmail and Exchange, and whoever made up a format of his own.

They share one shape: somewhere a line names the address, the lines after it say why, and below a line that
announces it lies the mail that came back.
"""

from __future__ import annotations

import html
import re

from domain.replies import Reply, classify
from domain.reports import mime
from domain.reports.model import Action, Outcome

#: Text beyond this is the mail that came back, not the reason.
LOOKED_AT = 20_000
MOST_RECIPIENTS = 50
MOST_PLACES = 8
#: A reading less sure than this is only taken when no other text says more.
TELLS = 0.4

_DAEMON = re.compile(
    r"mailer[-_ ]?daemon|post_?master|mail delivery|mail-daemon|mdaemon|delivery (?:subsystem|status)|mailsystem|"
    r"bounce",
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
_NOT_DELIVERED = re.compile(
    r"(?:could not|couldn't|cannot|not) be delivered|undeliverable|delivery (?:has )?failed|"
    r"(?:failed|unable) to deliver",
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
    r"the following is a copy|-{4,} ?(?:original|returned|message)|original message:|received: from |return-path: )",
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
_ANSWER = re.compile(r"^[ \t]*<<< ?([45]\d\d[ -].{1,500})$", re.MULTILINE)
_EXPANDED = re.compile(r"^\s*\((?:expanded from|ultimately generated from|generated from)[^()]{0,300}\)")
_FIELD = re.compile(r"(?:subject|sent|date|from|cc|to|size|message-id)\s?:", re.IGNORECASE)
_CODE = re.compile(r"(?<![\d.])(?:[45]\d\d[ -]|#?[45]\.\d\.\d{1,3}(?!\.?\d))")


def is_bounce(mail: mime.Entity, automatic: bool) -> bool:
    """Whether a mail that is no standard report is a bounce: a daemon sent it, or nobody did, and it says so."""
    if "x-failed-recipients" in mail.headers:
        return True
    sender = mail.header("from")[:500]
    subject = _SUBJECT.search(mime.plain(mail.header("subject"))) is not None
    nobody = mail.header("return-path").strip() == "<>"
    if _DAEMON.search(sender):
        return not automatic or subject or "mailer-daemon" in sender.lower()
    if subject and (nobody or not automatic):
        return True
    returned = any(part.type in ("message/rfc822", "text/rfc822-headers") for part in mail.parts)
    return returned and not automatic and _NOT_DELIVERED.search(first_text(list(mail.walk()))[:3_000]) is not None


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
    subject = mime.plain(mail.header("subject"))
    known = [one.lower() for one in _ANY.findall(mail.header("x-failed-recipients")[:5_000])]
    delayed = bool(_DELAY.search(subject)) or (
        not known and bool(_DELAY.search(text[:3_000])) and not _CODE.search(text)
    )
    own = {one.lower() for one in _ANY.findall(f"{mail.header('to')} {mail.header('from')}"[:1_000])}
    named = known or [
        one for one in dict.fromkeys(found[1].lower() for found in _HEAD.finditer(text)) if one not in own
    ]
    if not named:
        named = [one for one in dict.fromkeys(found.lower() for found in _ANY.findall(text)) if one not in own][:1]
    found: list[Outcome] = []
    for recipient in named[:MOST_RECIPIENTS] or [""]:
        why = about(text, recipient, alone=len(named) <= 1)
        said, reply = decide([*why, subject] if len(named) <= 1 else why)
        if delayed and reply.hard:
            reply = reply.model_copy(update={"hard": False})
        if not recipient and reply.confidence < TELLS:
            continue
        action = Action.DELAYED if delayed else Action.FAILED
        found.append(Outcome(recipient=recipient, action=action, text=said[:1_000], reply=reply))
    return tuple(found)


def decide(candidates: list[str], status: str = "", host: str = "") -> tuple[str, Reply]:
    """The first of some texts that says something, with what it says; the first one when none does."""
    first: tuple[str, Reply] | None = None
    for text in candidates:
        reply = classify(f"{status} {text}" if status else text, host=host)
        if reply.confidence >= TELLS:
            return text, reply
        first = first or (text, reply)
    return first or ("", classify(status, host=host))


def about(text: str, recipient: str, *, alone: bool) -> list[str]:
    """What a text may say of one recipient, the likeliest first.

    The lines after its address; when it is the only one also what a transcript shows, the first paragraph
    with a reply code, and the whole.
    """
    said = _after(text, recipient) if recipient else []
    answers = _ANSWER.findall(text) if alone else []
    found = [_joined(" ".join(answers))] if answers else []
    found += [one for one in said if _CODE.search(one)]
    if alone:
        coded = _CODE.search(text)
        if coded:
            start = text.rfind("\n\n", 0, coded.start()) + 1
            found.append(_joined(text[start : coded.start() + 600].strip().partition("\n\n")[0]))
    found += [one for one in said if not _CODE.search(one)]
    if alone:
        found.append(_joined(text[:1_500]))
    return [one for one in dict.fromkeys(found) if one]


def _after(text: str, recipient: str) -> list[str]:
    """The lines after each place that names the recipient, up to a blank line or another address."""
    found: list[str] = []
    lower = text.lower()
    place = lower.find(recipient)
    while place >= 0 and len(found) < MOST_PLACES:
        end = place + len(recipient)
        rest = _EXPANDED.sub("", text[end : end + 1_500].lstrip(">)]\"'"), count=1)
        lines: list[str] = []
        for line in rest.split("\n"):
            if lines and (not line.strip() or _HEAD.match(line)) and any(one.strip(" :.") for one in lines):
                break
            lines.append(line)
        said = _joined("\n".join(lines)).lstrip(":;,. ")
        if len(said) > 5 and not _FIELD.match(said):
            found.append(said)
        place = lower.find(recipient, end)
    return found


def _joined(text: str) -> str:
    return " ".join(text.split())
