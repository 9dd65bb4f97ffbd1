"""Rules as data: read from TOML files, checked, compiled once.

The shipped files lie in ``domain/replies/rules/``; those of an installation are read before them, so that its
rules win. The order is that of the file names, then that of the file: the first rule that fits decides.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.refusals import Refused
from domain.replies.phrases import BadPhrase, Phrase
from domain.replies.reading import Parts, without_links
from domain.replies.words import Class, Object, Retry

SHIPPED = Path(__file__).parent / "rules"

#: Stands in a rule for a text without a reply code: mostly words of the own mail system.
NO_CODE = "none"
_CODE = re.compile(rf"[245]\d{{0,2}}|{NO_CODE}")
_STATUS = re.compile(r"([245x])\.(\d{1,3}|x)\.(?:(\d{1,3})(?:-(\d{1,3}))?|x)")


class BadRules(Refused):
    """A rule file that cannot be used; the rules before it stay in force."""


class RuleText(BaseModel):
    """One rule as it is written. Everything that is given must fit; in a list one of its entries."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Unique; shown as the rule that matched.")
    provider: tuple[str, ...] = Field((), description="Only for replies of these; empty: of anybody.")
    code: tuple[str, ...] = Field((), description="Reply codes or beginnings: `550`, `45`, `4`; `none`.")
    status: tuple[str, ...] = Field((), description="Enhanced codes: `5.7.1`, `x.7.26`, `5.7.606-649`, `4.x.x`.")
    text: tuple[str, ...] = Field((), description="Phrases, one of which must be there.")
    and_: tuple[str, ...] = Field((), alias="and", description="More phrases, one of which must be there too.")
    unless: tuple[str, ...] = Field((), description="Phrases that must not be there.")
    links: bool = Field(True, description="False: the phrases are not looked for in links.")
    class_: Class = Field(alias="class")
    object: Object | None = None
    retry: Retry | None = None
    hard: bool | None = None
    confidence: Annotated[float, Field(gt=0, le=1)] | None = None


class Marks(BaseModel):
    """How a provider's replies are recognised."""

    model_config = ConfigDict(extra="forbid")

    text: tuple[str, ...] = Field((), description="Characters that only its replies hold.")
    hosts: tuple[str, ...] = Field((), description="Ends of its host names, seen in a reply or a report.")


class RuleFile(BaseModel):
    """What a file may hold."""

    model_config = ConfigDict(extra="forbid")

    providers: dict[str, Marks] = {}
    rule: tuple[RuleText, ...] = ()


class _Status(NamedTuple):
    """A pattern of enhanced codes; None is any."""

    leading: int | None
    subject: int | None
    first: int | None
    last: int | None

    def fits(self, status: tuple[int, int, int]) -> bool:
        return (
            (self.leading is None or self.leading == status[0])
            and (self.subject is None or self.subject == status[1])
            and (self.first is None or self.last is None or self.first <= status[2] <= self.last)
        )


class Rule:
    """A compiled rule."""

    __slots__ = ("_and", "_codes", "_statuses", "_text", "_unless", "confidence", "given")

    def __init__(self, given: RuleText) -> None:
        self.given = given
        self._codes = given.code
        self._statuses = tuple(_status(one) for one in given.status)
        self._text = tuple(Phrase(one) for one in given.text)
        self._and = tuple(Phrase(one) for one in given.and_)
        self._unless = tuple(Phrase(one) for one in given.unless)
        self.confidence = given.confidence or _confidence(given)

    def fits(self, parts: Parts) -> bool:
        """Whether everything that the rule asks for is there."""
        code, status, words = parts[:3]
        if not self.given.links and "://" in words:
            words = without_links(words)
        told = code or (str(status[0]) if status else "")
        if self._codes and not (told.startswith(self._codes) or (not code and NO_CODE in self._codes)):
            return False
        if self._statuses and (status is None or not any(one.fits(status) for one in self._statuses)):
            return False
        if self._text and not any(phrase.found_in(words) for phrase in self._text):
            return False
        if self._and and not any(phrase.found_in(words) for phrase in self._and):
            return False
        return not any(phrase.found_in(words) for phrase in self._unless)


def _status(text: str) -> _Status:
    found = _STATUS.fullmatch(text)
    if found is None:
        raise BadPhrase(f"status {text!r}: write `5.7.1`, `x.7.26`, `5.7.606-649` or `4.x.x`")
    first = int(found[3]) if found[3] else None
    last = int(found[4]) if found[4] else first
    leading, subject = (None if one == "x" else int(one) for one in found.group(1, 2))
    return _Status(leading, subject, first, last)


def _confidence(given: RuleText) -> float:
    """How sure a rule is unless it says so: words beat codes, and knowing who speaks helps."""
    if given.text:
        return min(0.99, 0.8 + 0.1 * bool(given.provider) + 0.07 * bool(given.status))
    return 0.6 if given.status else 0.3


class Rules:
    """Compiled rules of some files.

    Raises:
        BadRules: names the file, the rule and what is wrong with it.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self.all: list[Rule] = []
        self._marks: list[tuple[str, tuple[str, ...]]] = []
        self._hosts: dict[str, str] = {}
        names: set[str] = set()
        for file in files:
            for name, marks in (read := _read(file)).providers.items():
                self._marks.append((name, tuple(mark.lower() for mark in (*marks.text, *marks.hosts))))
                self._hosts |= dict.fromkeys((host.lower() for host in marks.hosts), name)
            for given in read.rule:
                if given.id in names:
                    raise BadRules(f"{file.name}: rule {given.id!r} is there twice.", field=given.id)
                for one in given.code:
                    if not _CODE.fullmatch(one):
                        raise BadRules(f"{file.name}: rule {given.id!r}: {one!r} is no reply code.", field=given.id)
                names.add(given.id)
                try:
                    self.all.append(Rule(given))
                except BadPhrase as error:
                    raise BadRules(f"{file.name}: rule {given.id!r}: {error}.", field=given.id) from None
        self._known = {name for name, _ in self._marks}
        stray = {one for rule in self.all for one in rule.given.provider} - self._known
        if stray:
            raise BadRules(f"No file says how to recognise the provider {sorted(stray)[0]!r}.")
        self._of: dict[str, tuple[Rule, ...]] = {
            name: tuple(rule for rule in self.all if not rule.given.provider or name in rule.given.provider)
            for name in (*self._known, "")
        }

    def provider(self, words: str, told: str) -> str:
        """Who speaks: by the marks in the words, else whom the caller believes it to be, else empty."""
        for name, marks in self._marks:
            for mark in marks:
                if mark in words:
                    return name
        return told if told in self._known else ""

    def provider_of_host(self, host: str) -> str:
        """The provider of a host name, empty when no file knows it."""
        name = host.rstrip(".").lower()
        while name:
            if name in self._hosts:
                return self._hosts[name]
            name = name.partition(".")[2]
        return ""

    def first(self, parts: Parts, provider: str) -> Rule | None:
        """The first rule that fits."""
        return next((rule for rule in self._of[provider] if rule.fits(parts)), None)


def _read(file: Path) -> RuleFile:
    try:
        given: Mapping[str, Any] = tomllib.loads(file.read_text("utf-8"))
        return RuleFile.model_validate(given)
    except OSError as error:
        raise BadRules(f"{file}: cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRules(f"{file.name}: no TOML: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = first["loc"]
        which = ""
        if len(place) > 1 and place[0] == "rule" and isinstance(place[1], int):
            which = f"rule {given['rule'][place[1]].get('id', place[1] + 1)!r}: "
        raise BadRules(f"{file.name}: {which}{'.'.join(map(str, place[2:] or place))}: {first['msg']}.") from None


def files(folder: Path | None) -> list[Path]:
    """Rule files in the order of precedence: the installation's own, then the shipped ones.

    Raises:
        BadRules: the folder is not there.
    """
    if folder is not None and not folder.is_dir():
        raise BadRules(f"{folder} is no folder.")
    own = sorted(folder.glob("*.toml")) if folder else []
    return [*own, *sorted(SHIPPED.glob("*.toml"))]
