"""The small language of phrases in a rule: plain words, so that no rule can be slow.

===========  =====================================================================
``a b``      these characters; a space is any one space
``(a|b)``    one of these; an empty one makes the group optional;
             brackets nest
``*``        up to 60 characters of the same reply, then, if a space follows, the start
             of a word; at
             most two in a phrase
``^``        only at the start of the words; ``$`` only at their end
===========  =====================================================================

A phrase starts at the start of a word when it starts with a letter or a digit, and ends anywhere: ``list``
finds *listed* but not *blocklist*. Text is in lower case, IP addresses are ``<ip>``, mail addresses ``<addr>``, round
brackets are blanks.
"""

from __future__ import annotations

import re

GAP = 60
#: A gap with a space behind it ends where a word starts; it is written ``~`` while a phrase is compiled.
_WORD_GAP, _BARE_GAP = re.compile(r" ?\* "), re.compile(r" ?\*")
_PIECE = re.compile(r"[()|*~^$]|[^()|*~^$]+")
_GAP = f".{{0,{GAP}}}?"
_MEANS = {"(": "(?:", ")": ")", "|": "|", "*": _GAP, "~": f"{_GAP}(?<![a-z0-9])", "^": r"\A", "$": r"\Z"}


class BadPhrase(ValueError):
    """A phrase that says what the language has no words for."""


class Phrase:
    """A compiled phrase: a needle that must be in the text before the pattern is tried."""

    __slots__ = ("_needle", "_pattern")

    def __init__(self, source: str) -> None:
        self._needle, self._pattern = _compiled(source)

    def found_in(self, words: str) -> bool:
        """Whether the words hold the phrase."""
        return self._needle in words and (self._pattern is None or self._pattern.search(words) is not None)


def _compiled(source: str) -> tuple[str, re.Pattern[str] | None]:
    if source != source.lower() or not source.strip():
        raise BadPhrase(f"{source!r}: a phrase is written in lower case and is not empty")
    if "~" in source:
        raise BadPhrase(f"{source!r}: ~ has no meaning")
    if source.count("*") > 2:
        raise BadPhrase(f"{source!r}: at most two * in a phrase")
    pattern, needle, depth = "", "", 0
    for piece in _PIECE.findall(_BARE_GAP.sub("*", _WORD_GAP.sub("~", source))):
        depth += (piece == "(") - (piece == ")")
        if depth < 0 or (piece == "|" and not depth):
            break
        pattern += _MEANS.get(piece) or re.escape(piece)
        if not depth and piece not in _MEANS:
            needle = max(needle, piece, key=len)
    else:
        if not depth:
            if source.lstrip("(")[:1].isalnum():
                pattern = "(?<![a-z0-9])" + pattern
            return needle, re.compile(pattern)
    raise BadPhrase(f"{source!r}: each bracket is opened and closed, and | stands in brackets only")
