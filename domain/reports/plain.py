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
    r"processing error|nicht zugestellt|remise|non remis|impossibile|mancato recapito|user unknown|undelivered",
    re.IGNORECASE,
)
_NOT_DELIVERED = re.compile(
    r"(?:could not|couldn't|cannot|not) be delivered|undeliverable|delivery (?:has )?failed|"
    r"(?:failed|unable) to deliver",
    re.IGNORECASE,
)
_DELAY = re.compile(
    r"delayed|will (?:keep|continue) (?:trying|to (?:try|be))|still being (?:tried|attempted)|"
    r"do not need to (?:resend|do anything)|no action is required|not yet been delivered|will be retried",
    re.IGNORECASE,
)
#: A warning is about a delay only when it says so: others warn of an address that is not there.
_DELAY_SUBJECT = re.compile(
    r"warning\W{1,4}(?:could not send|message|mail|returned mail)|^warning$|delayed|delivery delay|will be retried|"
    r"not yet been|still being",
    re.IGNORECASE,
)
_COPY = re.compile(
    r"^[ \t>]*(?:-{2,} ?(?:below this line is a copy|this is a copy|original message|returned message|the body of the|"
    r"unsent message|message header|the header of|message headers|text of|forwarded message|original mail|"
    r"undelivered message|enclosed is a copy|copy of|return message|included is a copy)|"
    r"(?:the )?original message (?:headers?|follows)|original message headers|message headers follow|"
    r"your (?:original )?message (?:follows|reads)|unsent message below|----- ?message header follows|"
    r"the following is a copy|-{4,} ?(?:original|returned|message(?! (?:not|could|was|cannot|deliver)))|"
    r"original message:|received: from |return-path: |content-type: message/rfc822)",
    re.IGNORECASE | re.MULTILINE,
)
_HEADER_BLOCK = re.compile(
    r"^(?:received|return-path|from|message-id|date|subject): .{1,500}$", re.IGNORECASE | re.MULTILINE
)
_MAIL = r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,8}"
#: A line that starts with an address, as reports name the one that failed.
_HEAD = re.compile(
    rf"^[ \t>*+-]{{0,12}}(?:(?:to|(?:failed |final-|intended )?recipient|address|mailbox|(?:unknown |invalid )?user|"
    rf"rcpt to|e-?mail|destinataire|c=[^\n]{{1,200}}?smtp) ?[:=] ?)?"
    rf"[\"'<(\[]{{0,2}}(?:rfc822; ?|smtp: ?|mailto:)?({_MAIL})",
    re.IGNORECASE | re.MULTILINE,
)
_ANY = re.compile(_MAIL, re.IGNORECASE)
#: What stands before the addresses that failed, where the mail itself was described before.
_ANNOUNCED = re.compile(
    r"did not reach the following|(?:following|these) (?:recipient|address|user)[^\n]{0,60}\n|"
    r"following (?:recipient|address)[^:<]{0,160}:[ \t]*\n|"
    r"(?:delivered|delivery) to(?: the following[^\n]{0,40})?:[ \t]*\n",
    re.IGNORECASE,
)
#: A name without a domain on a line of its own, below such an announcement.
_NAME = re.compile(r"^\s*([a-z0-9][a-z0-9._+-]{1,63})[ \t]*$", re.IGNORECASE | re.MULTILINE)
_TAG = re.compile(
    r"<(?:/?(?:p|div|br|td|tr|table|html|body|span|font|b|i|a|ul|li|h\d|head|style|meta|title)\b)[^<>]{0,500}>",
    re.IGNORECASE,
)
_ANSWER = re.compile(r"^[ \t]*<<< ?([45]\d\d[ -].{1,500})$", re.MULTILINE)
_EXPANDED = re.compile(r"^\s*\((?:expanded from|ultimately generated from|generated from)([^()]{0,300})\)")
#: A line whose address is not who the mail was for.
_NOBODY = re.compile(
    r"^[ \t]*(?:references|message-id|in-reply-to):|contact|assistance|questions|e-?mail to|postmaster@", re.IGNORECASE
)
_FIELD = re.compile(r"(?:subject|sent|date|from|cc|to|size|message-id)\s?:", re.IGNORECASE)
#: A reply code, or an enhanced one.
CODE = re.compile(r"(?<![\d.])(?:[45]\d\d[ -]|#?[45]\.\d\.\d{1,3}(?!\.?\d))")


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


def outcomes(mail: mime.Entity, parts: list[mime.Entity], returned_for: str) -> tuple[Outcome, ...]:
    """Outcomes of the addresses that the text names, each with the lines that follow it.

    Args:
        returned_for: whom the mail that came back was for, as its own headers tell; empty if they do not.
    """
    text = first_text(parts)
    subject = mime.plain(mail.header("subject"))
    known = [one.lower() for one in _ANY.findall(mail.header("x-failed-recipients")[:5_000])]
    delayed = bool(_DELAY_SUBJECT.search(subject)) or (
        not known and bool(_DELAY.search(text[:3_000])) and not CODE.search(text)
    )
    certain = bool(known or _SUBJECT.search(subject) or _NOT_DELIVERED.search(text) or CODE.search(text))
    named = known or _named(mail, text)
    if not named and certain:
        mentioned = _mentioned(mail, text)
        named = [returned_for] if returned_for and (returned_for in mentioned or not mentioned) else mentioned[:1]
    found: list[Outcome] = []
    for recipient in named[:MOST_RECIPIENTS] or [""]:
        why = about(text, recipient, alone=len(named) <= 1)
        said, reply = decide([*why, subject] if len(named) <= 1 else why)
        if delayed and reply.hard:
            reply = reply.model_copy(update={"hard": False})
        if not recipient and (reply.confidence < TELLS or not certain):
            continue
        action = Action.DELAYED if delayed else Action.FAILED
        original = _expanded_from(text, recipient) if recipient else ""
        found.append(Outcome(recipient=recipient, original=original, action=action, text=said[:1_000], reply=reply))
    return tuple(found)


def _expanded_from(text: str, recipient: str) -> str:
    """The address that the mail was for before an alias led it elsewhere; empty when none is told."""
    place = text.lower().find(recipient)
    told = _EXPANDED.match(text[place + len(recipient) :].lstrip(">)]\"'")[:400]) if place >= 0 else None
    address = _ANY.search(told[1]) if told else None
    return address[0].lower() if address else ""


def _named(mail: mime.Entity, text: str) -> list[str]:
    """Addresses at the start of a line: below the words that announce them, else anywhere; at last bare names there.

    The sender of the report and whom it was sent to are meant only when nobody else is named.
    """
    announced = _ANNOUNCED.search(text)
    places = [text[announced.end() :], text] if announced else [text]
    own = _own(mail)
    for place in places:
        heads = list(dict.fromkeys(found[1].lstrip("'").lower() for found in _HEAD.finditer(place)))
        found = [one for one in heads if one not in own] or heads
        if found:
            return found
    domain = mail.header("from").partition("@")[2].strip("<> \t").lower()
    if announced is None or not re.fullmatch(r"[a-z0-9.-]{3,255}", domain):
        return []
    return [f"{one[1].lower()}@{domain}" for one in _NAME.finditer(places[0].partition("\n\n\n")[0])]


def _mentioned(mail: mime.Entity, text: str) -> list[str]:
    """The addresses of a text that names none at the start of a line, but for ids and for who may help."""
    own = _own(mail)
    lines = "\n".join(line for line in text.split("\n") if not _NOBODY.search(line))
    return [one for one in dict.fromkeys(found.lower().lstrip("'") for found in _ANY.findall(lines)) if one not in own]


def _own(mail: mime.Entity) -> set[str]:
    return {one.lower() for one in _ANY.findall(f"{mail.header('to')} {mail.header('from')}"[:1_000])}


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
    found += [one for one in said if CODE.search(one)]
    if alone:
        coded = CODE.search(text)
        if coded:
            start = text.rfind("\n\n", 0, coded.start()) + 1
            found.append(_joined(text[start : coded.start() + 600].strip().partition("\n\n")[0]))
    found += [one for one in said if not CODE.search(one)]
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
