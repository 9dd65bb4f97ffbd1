"""Which phrases a reply holds: each is looked for once, and only when the reply has characters that it needs.

A rule file has thousands of phrases, a reply holds a few. So phrases are filed under four characters that a text must
have to hold them, the rarest four that each has; a reply is asked for its own fours once.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from domain.replies.phrases import Phrase, plain
from domain.replies.reading import Parts, without_links

_FOUR = 4
#: Where a sentence ends; a dot in a host name or behind an abbreviation is none.
_SENTENCE = re.compile(r"(?<=[.!?;])(?<!e\.g\.)(?<!i\.e\.)(?<!inc\.)(?<!z\.b\.)\s|[。！？；]")


def sentences(words: str) -> list[str]:
    """The sentences of a reply, with what ends them."""
    return [one for one in _SENTENCE.split(words) if one]


# Asked for the same words twice: for who speaks, and for what is said.
@functools.lru_cache(maxsize=4)
def fours(text: str) -> set[str]:
    """Every four characters of a text that stand together."""
    return {text[place : place + _FOUR] for place in range(len(text) - _FOUR + 1)}


class Needles:
    """Strings to be looked for in a text all at once, each with a number; several may share one."""

    def __init__(self, needles: Iterable[tuple[str, int]]) -> None:
        given = list(needles)
        common = Counter(four for needle, _ in given for four in fours(needle))
        filed: dict[str, list[tuple[str, int]]] = {}
        for needle, number in given:
            four = min(sorted(fours(needle)), key=common.__getitem__) if len(needle) >= _FOUR else ""
            filed.setdefault(four, []).append((needle, number))
        short = filed.pop("", [])
        self._short = [one for one in short if one[0].isascii()]
        self._short_elsewhere = [one for one in short if not one[0].isascii()]
        self._filed: Mapping[str, list[tuple[str, int]]] = filed
        self._fours = frozenset(filed)

    def found_in(self, text: str) -> set[int]:
        """Numbers of the needles that the text holds."""
        found = {number for needle, number in self._short if needle in text}
        if not text.isascii():
            found.update(number for needle, number in self._short_elsewhere if needle in text)
        for four in self._fours & fours(text):
            for needle, number in self._filed[four]:
                if needle in text:
                    found.add(number)
        return found


class Phrases:
    """All phrases of the rules in force, each once, under a number."""

    def __init__(self) -> None:
        self.all: list[Phrase] = []
        self._numbers: dict[str, int] = {}
        self._needles = Needles([])

    def number(self, source: str) -> int:
        """The number of a phrase.

        Raises:
            BadPhrase: it cannot be read.
        """
        if source not in self._numbers:
            self.all.append(Phrase(source))
            self._numbers[source] = len(self.all) - 1
        return self._numbers[source]

    def file(self) -> None:
        """File all phrases; to be called when the last one has its number."""
        self._needles = Needles((needle, number) for number, one in enumerate(self.all) for needle in one.needles)

    def possible(self, words: str) -> set[int]:
        """Numbers of the phrases that the words may hold; those of all others they do not."""
        return self._needles.found_in(words)


class Text:
    """A reply while rules are tried on it: what was found once is remembered."""

    __slots__ = (
        "_held",
        "_in_sentences",
        "_phrases",
        "_sentences",
        "_without_links",
        "code",
        "possible",
        "status",
        "words",
    )

    def __init__(self, parts: Parts, phrases: Phrases) -> None:
        self.code, self.status = parts.code, parts.status
        self.words = plain(parts.words)
        self._phrases = phrases.all
        self.possible = phrases.possible(self.words)
        self._without_links = without_links(self.words) if "://" in self.words else self.words
        self._held: dict[tuple[int, bool], bool] = {}
        self._sentences: dict[bool, list[str]] = {}
        self._in_sentences: dict[tuple[int, bool], int] = {}

    def holds(self, numbers: frozenset[int], links: bool) -> bool:
        """Whether it holds one of the phrases, in its links too or outside of them only."""
        return any(self._holds(number, links) for number in self.possible & numbers)

    def _holds(self, number: int, links: bool) -> bool:
        key = (number, links)
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = self._phrases[number].found_in(self.words if links else self._without_links)
        return held

    def where(self, numbers: frozenset[int], links: bool) -> int:
        """In which sentences it holds one of the phrases: a bit for each."""
        found = 0
        for number in self.possible & numbers:
            if self._holds(number, links):
                found |= self._where(number, links)
        return found

    def _where(self, number: int, links: bool) -> int:
        if links not in self._sentences:
            self._sentences[links] = sentences(self.words if links else self._without_links)
        said = self._sentences[links]
        if len(said) == 1:
            return 1
        key = (number, links)
        found = self._in_sentences.get(key)
        if found is None:
            phrase, found = self._phrases[number], 0
            for place, one in enumerate(said):
                found |= phrase.found_in(one) << place
            self._in_sentences[key] = found
        return found
