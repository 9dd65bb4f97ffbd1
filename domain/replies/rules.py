"""Rules as data: read from TOML files, checked, compiled once.

The shipped files lie in ``domain/replies/rules/``; those of an installation are read before them, so that its
rules win. The order is that of the file names, then that of the file: the first rule that fits decides.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.refusals import Refused
from domain.replies.matching import Needles, Phrases, Text
from domain.replies.phrases import BadPhrase, expanded
from domain.replies.reading import Parts
from domain.replies.words import Class, Object, Retry

SHIPPED = Path(__file__).parent / "rules"

#: Stands in a rule for a text without a reply code: mostly words of the own mail system.
NO_CODE = "none"
_CODE = re.compile(rf"[245]\d{{0,2}}|{NO_CODE}")
_STATUS = re.compile(r"([245x])\.(\d{1,3}|x)\.(?:(\d{1,3})(?:-(\d{1,3}))?|x)")


class BadRules(Refused):
    """A rule file that cannot be used; the rules before it stay in force."""


class SentenceText(BaseModel):
    """What one and the same sentence of the reply must hold, and what it must not."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    text: tuple[str, ...] = Field(min_length=1, description="Phrases, one of which must be in it.")
    and_: tuple[str, ...] = Field((), alias="and", description="More phrases, one of which must be in it too.")
    unless: tuple[str, ...] = Field((), description="Phrases that must not be in it; elsewhere they may.")


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
    sentence: SentenceText | None = Field(None, description="What one sentence of the reply must hold.")
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
    words: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")], tuple[str, ...]] = Field(
        {}, description="Words that phrases of all files may use by their name, `{name}`."
    )
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

    __slots__ = ("_and", "_codes", "_sentence", "_statuses", "_unless", "also_needs", "confidence", "given", "needs")

    def __init__(self, given: RuleText, phrases: Phrases, words: Mapping[str, tuple[str, ...]]) -> None:
        def numbers(sources: tuple[str, ...]) -> frozenset[int]:
            return frozenset(phrases.number(one) for one in expanded(sources, words))

        self.given = given
        self._codes = given.code
        self._statuses = tuple(_status(one) for one in given.status)
        #: Phrases one of which must be there; empty: the rule asks for none.
        self.needs = numbers(given.text or (given.sentence.text if given.sentence else ()))
        self._and = numbers(given.and_)
        self._unless = numbers(given.unless)
        one = given.sentence
        self._sentence = (numbers(one.text), numbers(one.and_), numbers(one.unless)) if one else None
        #: Phrases one of which must be there besides; empty: the rule asks for no second one.
        self.also_needs = self._and or (self._sentence[1] if self._sentence else frozenset())
        self.confidence = given.confidence or _confidence(given)

    def fits(self, text: Text) -> bool:
        """Whether all the words that it asks for are there, and none that it forbids; for codes see ``fits_codes``."""
        links = self.given.links
        if self.given.text and not text.holds(self.needs, links):
            return False
        if self._and and not text.holds(self._and, links):
            return False
        if self._sentence and not self._in_a_sentence(text, *self._sentence):
            return False
        return not text.holds(self._unless, links)

    def fits_codes(self, code: str, status: tuple[int, int, int] | None) -> bool:
        """Whether reply code and enhanced code are those that the rule asks for."""
        if self._codes:
            told = code or (str(status[0]) if status else "")
            if not (told.startswith(self._codes) or (not code and NO_CODE in self._codes)):
                return False
        return not self._statuses or (status is not None and any(one.fits(status) for one in self._statuses))

    def _in_a_sentence(self, text: Text, any_: frozenset[int], and_: frozenset[int], unless: frozenset[int]) -> bool:
        found = text.where(any_, self.given.links)
        if found and and_:
            found &= text.where(and_, self.given.links)
        return bool(found and found & ~text.where(unless, self.given.links))


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
    if given.text or given.sentence:
        return min(0.99, 0.8 + 0.1 * bool(given.provider) + 0.07 * bool(given.status))
    return 0.6 if given.status else 0.3


class Rules:
    """Compiled rules of some files.

    Raises:
        BadRules: names the file, the rule and what is wrong with it.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self.all: list[Rule] = []
        self.phrases = Phrases()
        self._marks: list[tuple[str, str]] = []
        self._hosts: dict[str, str] = {}
        read = [(file, _read(file)) for file in files]
        # The first file wins, as it does with rules: words of an installation stand in the place of the shipped ones.
        self.words = {name: said for _, file in reversed(read) for name, said in file.words.items()}
        for file, content in read:
            for name, marks in content.providers.items():
                self._marks.extend((mark.lower(), name) for mark in marks.text)
                # A host's name stands behind a dot or a bracket: "mail.com" is not the end of "privateemail.com",
                # and "mail from gmail.com" does not say who speaks.
                self._marks.extend(
                    (before + mark.lower(), name) for mark in marks.hosts for before in (".", "/", "[", "<", "=")
                )
                self._hosts |= dict.fromkeys((host.lower() for host in marks.hosts), name)
            self._take(file, content)
        self.phrases.file()
        self._mark_needles = Needles((mark, place) for place, (mark, _) in enumerate(self._marks))
        self.known = {name for _, file in read for name in file.providers}
        stray = {one for rule in self.all for one in rule.given.provider} - self.known
        if stray:
            raise BadRules(f"No file says how to recognise the provider {sorted(stray)[0]!r}.")
        #: For each phrase the rules that need it, and those that need none: a bit a rule, the first is the lowest.
        self._needing: dict[int, int] = {}
        self._without = self._those(lambda rule: not rule.needs)
        self._also_needing: dict[int, int] = {}
        self._without_also = self._those(lambda rule: not rule.also_needs)
        self._for = {
            name: self._those(lambda rule, name=name: not rule.given.provider or name in rule.given.provider)  # type: ignore[misc]
            for name in (*self.known, "")
        }
        self._with_codes = functools.lru_cache(maxsize=4_096)(
            lambda code, status: self._those(lambda rule: rule.fits_codes(code, status))
        )
        for place, rule in enumerate(self.all):
            for number in rule.needs:
                self._needing[number] = self._needing.get(number, 0) | 1 << place
            for number in rule.also_needs:
                self._also_needing[number] = self._also_needing.get(number, 0) | 1 << place

    def _those(self, wanted: Callable[[Rule], bool]) -> int:
        return sum(1 << place for place, rule in enumerate(self.all) if wanted(rule))

    def _take(self, file: Path, content: RuleFile) -> None:
        names = {rule.given.id for rule in self.all}
        for given in content.rule:
            if given.id in names:
                raise BadRules(f"{file.name}: rule {given.id!r} is there twice.", field=given.id)
            for one in given.code:
                if not _CODE.fullmatch(one):
                    raise BadRules(f"{file.name}: rule {given.id!r}: {one!r} is no reply code.", field=given.id)
            names.add(given.id)
            try:
                self.all.append(Rule(given, self.phrases, self.words))
            except BadPhrase as error:
                raise BadRules(f"{file.name}: rule {given.id!r}: {error}.", field=given.id) from None

    def provider(self, before: str, words: str, told: str) -> str:
        """Who speaks: by the marks in the words, else whom the caller believes it to be, else empty."""
        found = self._mark_needles.found_in(words)
        if before:
            found |= self._mark_needles.found_in(before)
        if found:
            return self._marks[min(found)][1]
        return told if told in self.known else ""

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
        text = Text(parts, self.phrases)
        open_, also = self._without, self._without_also
        for number in text.possible:
            open_ |= self._needing.get(number, 0)
            also |= self._also_needing.get(number, 0)
        open_ &= also & self._for[provider] & self._with_codes(parts.code, parts.status)
        while open_:
            lowest = open_ & -open_
            open_ ^= lowest
            rule = self.all[lowest.bit_length() - 1]
            if rule.fits(text):
                return rule
        return None


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
        raise BadRules(
            f"{file.name}: {which}{'.'.join(map(str, place[2:] if which else place))}: {first['msg']}."
        ) from None


def files(folder: Path | None) -> list[Path]:
    """Rule files in the order of precedence: the installation's own, then the shipped ones.

    Raises:
        BadRules: the folder is not there.
    """
    if folder is not None and not folder.is_dir():
        raise BadRules(f"{folder} is no folder.")
    own = sorted(folder.glob("*.toml")) if folder else []
    return [*own, *sorted(SHIPPED.glob("*.toml"))]
