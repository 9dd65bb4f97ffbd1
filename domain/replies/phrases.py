"""The small language of phrases in a rule: plain words, so that no rule can be slow.

===========  =====================================================================
``a b``      these characters; a space is any one space
``(a|b)``    one of these; an empty one makes the group optional;
             brackets nest
``{name}``   one of the words of that name, see ``[words]`` in the rule files
``*``        up to 60 characters of the same reply, then, if a space follows, the start
             of a word; at
             most two in a phrase
``^``        only at the start of the words; ``$`` only at their end
===========  =====================================================================

A phrase starts at the start of a word when it starts with a letter or a digit, and ends anywhere: ``list``
finds *listed* but not *blocklist*. Text is in lower case and without accents, IP addresses are ``<ip>``, mail addresses
``<addr>``, round brackets are blanks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

GAP = 60
#: A gap with a space behind it ends where a word starts; it is written ``~`` while a phrase is compiled.
_WORD_GAP, _BARE_GAP = re.compile(r" ?\* "), re.compile(r" ?\*")
_PIECE = re.compile(r"[()|*~^$]|[^()|*~^$]+")
_GAP = f".{{0,{GAP}}}?"
_MEANS = {"(": "(?:", ")": ")", "|": "|", "*": _GAP, "~": f"{_GAP}(?<![a-z0-9])", "^": r"\A", "$": r"\Z"}
_NAME = re.compile(r"\{([a-z0-9-]*)\}")
#: Letters without their accents, as keyboards without them write: one spelling in a rule finds both.
_PLAIN_LETTERS: dict[int, str] = {
    **{
        code: letter[0]
        for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))
        if (letter := unicodedata.normalize("NFKD", chr(code)))[0].isascii() and letter[0].isalpha()
    },
    **{code: unicodedata.normalize("NFD", chr(code))[0] for code in range(0x386, 0x3CF)},
    **str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "ё": "е"}),
    **dict.fromkeys(range(0x300, 0x370), ""),
}


class BadPhrase(ValueError):
    """A phrase that says what the language has no words for."""


class Phrase:
    """A phrase, and the characters one of which must be in the text before its pattern is tried."""

    __slots__ = ("_pattern", "_source", "needles")

    def __init__(self, source: str) -> None:
        self._source, self.needles = _translated(source)
        self._pattern: re.Pattern[str] | None = None

    def found_in(self, words: str) -> bool:
        """Whether the words hold the phrase."""
        if self._pattern is None:  # most phrases are never met: compiling all would cost every start
            self._pattern = re.compile(self._source)
        return self._pattern.search(words) is not None


def plain(text: str) -> str:
    """The text with Latin letters as they are written without accents."""
    return text if text.isascii() else text.translate(_PLAIN_LETTERS)


def expanded(sources: Iterable[str], words: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Phrases with the words of a name in the place of the name; one that is only a name becomes many.

    Raises:
        BadPhrase: a name that nobody gave words, or that stands for itself.
    """
    found: dict[str, None] = {}
    for source in sources:
        whole = _NAME.fullmatch(source)
        if whole:
            found |= dict.fromkeys(expanded(_of(whole[1], words), _but(whole[1], words)))
        else:
            found[plain(_in_place(source, words))] = None
    return tuple(found)


def _in_place(source: str, words: Mapping[str, tuple[str, ...]]) -> str:
    return _NAME.sub(lambda name: f"({'|'.join(expanded(_of(name[1], words), _but(name[1], words)))})", source)


def _of(name: str, words: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    if name not in words:
        raise BadPhrase(f"{{{name}}}: no words of this name, or it stands for itself")
    return words[name]


def _but(name: str, words: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {one: said for one, said in words.items() if one != name}


def _translated(source: str) -> tuple[str, tuple[str, ...]]:
    """The regular expression of a phrase, and its needles."""
    if source != source.lower() or not source.strip():
        raise BadPhrase(f"{source!r}: a phrase is written in lower case and is not empty")
    if "~" in source or "{" in source or "}" in source:
        raise BadPhrase(f"{source!r}: ~ and single braces have no meaning")
    if source.count("*") > 2:
        raise BadPhrase(f"{source!r}: at most two * in a phrase")
    pieces = _PIECE.findall(_BARE_GAP.sub("*", _WORD_GAP.sub("~", source)))
    pattern, depth = "", 0
    for piece in pieces:
        depth += (piece == "(") - (piece == ")")
        if depth < 0 or (piece == "|" and not depth):
            break
        pattern += _MEANS.get(piece) or re.escape(piece)
    else:
        if not depth:
            if source.lstrip("(")[:1].isalnum():
                pattern = "(?<![a-z0-9])" + pattern
            return pattern, _needles(pieces)
    raise BadPhrase(f"{source!r}: each bracket is opened and closed, and | stands in brackets only")


def _needles(pieces: list[str]) -> tuple[str, ...]:
    """Characters of which one must be in any text that holds the phrase: a piece of it, or one of each alternative.

    Of all the pieces that must be there the one whose shortest needle is longest says most. An alternative of plain
    characters is taken together with those before and behind its group.
    """
    best: tuple[str, ...] = ("",)
    depth, began = 0, 0
    group: list[list[str]] = []
    for place, piece in enumerate(pieces):
        if piece == "(":
            depth += 1
            if depth == 1:
                began, group = place, [[]]
                continue
        elif piece == ")":
            depth -= 1
            if depth == 0:
                best = max(best, _of_group(group, *_beside(pieces, began, place)), key=_shortest)
                continue
        elif depth == 0 and piece not in _MEANS:
            best = max(best, (piece,), key=_shortest)
        elif depth == 1 and piece == "|":
            group.append([])
            continue
        if depth:
            group[-1].append(piece)
    return best


def _beside(pieces: list[str], began: int, ended: int) -> tuple[str, str]:
    """The plain characters before and behind a group, empty where something else stands."""
    before = pieces[began - 1] if began and pieces[began - 1] not in _MEANS else ""
    behind = pieces[ended + 1] if ended + 1 < len(pieces) and pieces[ended + 1] not in _MEANS else ""
    return before, behind


def _of_group(group: list[list[str]], before: str, behind: str) -> tuple[str, ...]:
    """A needle for each alternative of a group."""
    return tuple(f"{before}{''.join(one)}{behind}" if not _MEANS.keys() & set(one) else _longest(one) for one in group)


def _longest(alternative: list[str]) -> str:
    """The longest plain piece of an alternative that stands in none of its brackets."""
    best, depth = "", 0
    for piece in alternative:
        depth += (piece == "(") - (piece == ")")
        if not depth and piece not in _MEANS:
            best = max(best, piece, key=len)
    return best


def _shortest(needles: tuple[str, ...]) -> int:
    return min(map(len, needles))
