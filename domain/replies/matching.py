"""Which phrases a reply holds: each is looked for once, and only when the reply has characters that it needs.

A rule file has thousands of phrases, a reply holds a few. So phrases are filed under four characters that a text must
have to hold them, the rarest four that each has; a reply is asked for its own fours once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from domain.replies.phrases import Phrase, plain
from domain.replies.reading import Parts, without_links

_FOUR = 4
#: Where a sentence ends; a dot in a host name or behind an abbreviation is none.
_SENTENCE = re.compile(r"(?<=[.!?;])(?<!e\.g\.)(?<!i\.e\.)(?<!inc\.)(?<!z\.b\.)\s|[。！？；]")


def sentences(words: str) -> list[str]:
    """The sentences of a reply, with what ends them."""
    return [one for one in _SENTENCE.split(words) if one]


class Phrases:
    """All phrases of the rules in force, each once, under a number."""

    def __init__(self) -> None:
        self.all: list[Phrase] = []
        self._numbers: dict[str, int] = {}
        self._filed: dict[str, frozenset[int]] = {}
        self._anywhere: frozenset[int] = frozenset()

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
        """File all phrases under their rarest characters; to be called when the last one has its number."""
        common = Counter(four for phrase in self.all for needle in phrase.needles for four in fours(needle))
        filed: dict[str, set[int]] = {}
        anywhere = set()
        for number, phrase in enumerate(self.all):
            for needle in phrase.needles:
                if len(needle) < _FOUR:
                    anywhere.add(number)
                else:
                    filed.setdefault(min(sorted(fours(needle)), key=common.__getitem__), set()).add(number)
        self._filed = {four: frozenset(numbers) for four, numbers in filed.items()}
        self._anywhere = frozenset(anywhere)

    def possible(self, words: str) -> set[int]:
        """Numbers of the phrases that the words may hold; those of all others they do not."""
        return set(self._anywhere).union(*(self._filed[four] for four in self._filed.keys() & fours(words)))


def fours(text: str) -> set[str]:
    """Every four characters of a text that stand together."""
    return {text[place : place + _FOUR] for place in range(len(text) - _FOUR + 1)}


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
        if key not in self._held:
            self._held[key] = self._phrases[number].found_in(self.words if links else self._without_links)
        return self._held[key]

    def where(self, numbers: Iterable[int], links: bool) -> int:
        """In which sentences it holds one of the phrases: a bit for each."""
        found = 0
        for number in self.possible.intersection(numbers):
            found |= self._where(number, links)
        return found

    def _where(self, number: int, links: bool) -> int:
        key = (number, links)
        if key not in self._in_sentences:
            if links not in self._sentences:
                self._sentences[links] = sentences(self.words if links else self._without_links)
            phrase = self._phrases[number]
            held = self._holds(number, links)
            self._in_sentences[key] = sum(
                phrase.found_in(one) << place for place, one in enumerate(self._sentences[links]) if held
            )
        return self._in_sentences[key]
