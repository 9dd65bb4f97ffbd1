"""What an SMTP reply means: from reply code, enhanced code and words together.

Never from the code alone and never from another system's label. The rules are data, see ``rules/``.
"""

from __future__ import annotations

import functools
import logging
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from domain.refusals import Refused
from domain.replies import reading
from domain.replies.reading import Parts, take_apart, template
from domain.replies.rules import BadRules, Rules, files
from domain.replies.words import (
    CURABLE,
    DEAD_ADDRESS,
    IP_EVENTS,
    OBJECT_OF,
    PATIENCE,
    Class,
    Object,
    Retry,
)
from domain.words import MailboxProvider

_log = logging.getLogger(__name__)

#: Seconds between looks for changed rule files.
LOOK_SECONDS = 5.0

__all__ = ["BadRules", "Class", "Object", "Reply", "Retry", "classify", "masked", "speaker", "template", "use"]


class Reply(BaseModel):
    """What a reply says.

    ``remote`` is false for words that the own mail system made up: no signal of the other side.
    """

    model_config = ConfigDict(frozen=True)

    class_: Class = Field(serialization_alias="class")
    object: Object
    provider: str = Field(description="Who speaks, as far as the reply or the caller tells; empty: nobody known.")
    retry: Retry
    ip_event: bool = Field(description="The sending IP or its netblock is refused or slowed.")
    hard: bool = Field(description="The address is dead: counts into the bounce rate.")
    remote: bool = True
    confidence: float
    rule: str = Field(description="Id of the rule that matched, empty when none did.")
    code: str = Field(description="Reply code, empty when the text has none.")
    status: str = Field(description="Enhanced code, empty when the text has none.")


def classify(text: str, provider: str | None = None, *, host: str = "") -> Reply:
    """What a reply means.

    Args:
        text: as a log, a webhook or a report gives it; with or without `smtp;`, host names, several lines.
        provider: whose mail server it is believed to be (by MX); words that name another one win.
        host: name of the server that replied, if it is known; tells the provider where ``provider`` does not.
    """
    parts = take_apart(text)
    known = rules()
    told = str(provider) if provider else ""
    if host and told in ("", "other"):
        told = known.provider_of_host(host)
    told = told or known.provider_of_host(parts.domain)
    return _decide(parts._replace(domain=""), told)  # the domain differs from mail to mail, the meaning does not


def speaker(name: str) -> str | None:
    """A provider as somebody names it; None for nobody.

    Raises:
        Refused: no rule knows it; says which there are.
    """
    told = name.strip().lower()
    if told in ("", MailboxProvider.OTHER):
        return None
    if told not in (known := rules().known):
        raise Refused(
            f"No rule knows the provider {told[:60]!r}; leave it out, or choose from {', '.join(sorted(known))}.",
            field="provider",
            code="unknown_provider",
        )
    return told


def masked(text: str, recipient: str = "") -> str:
    """A reply on one line without whom it was about: it reads as the reply itself does, see ``reading.masked``."""
    return reading.masked(text, recipient, rules().provider_of_host)


def use(folder: Path | None) -> None:
    """Take the rules of a folder before the shipped ones; None: only the shipped ones.

    Changed files of the folder are taken up by themselves within ``LOOK_SECONDS``. One that is wrong then changes
    nothing and is named in the log.

    Raises:
        BadRules: names file, rule and fault; the rules in force stay.
    """
    seen = _stamp(folder)
    _State.rules = Rules(files(folder))
    _State.folder, _State.seen, _State.looked = folder, seen, time.monotonic()
    _decide.cache_clear()


class _State:
    rules: Rules | None = None
    folder: Path | None = None
    seen: tuple[tuple[str, int, int], ...] = ()
    looked = 0.0


def _stamp(folder: Path | None) -> tuple[tuple[str, int, int], ...]:
    if folder is None:
        return ()
    found = ((one.name, one.stat()) for one in sorted(folder.glob("*.toml")))
    return tuple((name, about.st_mtime_ns, about.st_size) for name, about in found)


def rules() -> Rules:
    """The rules in force: read at first use, and again when files of the folder changed."""
    if _State.rules is None:
        use(None)
    elif _State.folder is not None and time.monotonic() - _State.looked >= LOOK_SECONDS:
        _State.looked = time.monotonic()
        try:
            seen = _stamp(_State.folder)
            if seen != _State.seen:
                _State.seen = seen
                use(_State.folder)
        except (BadRules, OSError) as error:
            _log.warning("reply rules stay as they were: %s", getattr(error, "detail", error))
    assert _State.rules is not None
    return _State.rules


# Bounces repeat: the same words come by the thousand, with another address in each.
@functools.lru_cache(maxsize=8_192)
def _decide(parts: Parts, told: str) -> Reply:
    known = _State.rules
    assert known is not None
    provider = known.provider(parts.before, parts.words, told)
    # What was taken is taken, whatever words come with it ("250 queued, may be spam").
    accepted = _accepted(parts)
    rule = None if accepted else known.first(parts, provider)
    class_ = Class.ACCEPTED if accepted else rule.given.class_ if rule else Class.OTHER
    permanent = parts.permanent
    given = rule.given if rule else None
    # A text without any code that says the user is unknown reports a failure that is over.
    final = permanent is not False
    hard = class_ in DEAD_ADDRESS and final if given is None or given.hard is None else given.hard
    return Reply(
        class_=class_,
        object=(given.object if given else None) or OBJECT_OF.get(class_, Object.UNKNOWN),
        provider=provider,
        retry=(given.retry if given else None) or _retry(class_, permanent),
        ip_event=class_ in IP_EVENTS,
        hard=hard,
        remote=class_ is not Class.LOCAL and (given is None or not given.id.startswith("local-")),
        confidence=rule.confidence if rule else 0.99 if accepted else 0.1,
        rule=given.id if given else "",
        code=parts.code,
        status=".".join(map(str, parts.status)) if parts.status else "",
    )


def _accepted(parts: Parts) -> bool:
    return parts.code[:1] in ("2", "3") or (not parts.code and parts.status is not None and parts.status[0] == 2)


def _retry(class_: Class, permanent: bool | None) -> Retry:
    if class_ is Class.ACCEPTED:
        return Retry.NO
    if permanent is False:
        return Retry.AFTER if class_ in PATIENCE else Retry.YES
    return Retry.AFTER if class_ in CURABLE else Retry.NO
