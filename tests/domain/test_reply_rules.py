"""The language of rules: words by name, sentences, accents; and that filing phrases changes no answer."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import reply_truth
from domain import replies
from domain.replies import BadRules, classify
from domain.replies.matching import sentences
from domain.replies.phrases import Phrase, expanded, plain
from domain.replies.reading import take_apart, without_links
from domain.replies.rules import Rule, Rules, RuleText, files
from tests.domain.test_replies import IP_EVENTS, NO_IP_EVENTS, UNKNOWN_HOSTS


@functools.cache
def shipped() -> Rules:
    """The shipped rules."""
    return Rules(files(None))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder for rules of an installation."""
    return tmp_path


def taken(folder: Path, text: str) -> None:
    """Use a rule file of these words."""
    (folder / "own.toml").write_text(text)
    replies.use(folder)


class Slowly:
    """The same rules read the long way: every phrase of every rule on the whole reply, in their order."""

    def __init__(self, rules: Rules) -> None:
        self._words = rules.words
        self._phrases: dict[str, Phrase] = {}
        self._rules = rules.all

    def first(self, text: str, provider: str) -> Rule | None:
        """The first rule that fits."""
        return next((rule for rule in self._rules if self._fits(rule, text, provider)), None)

    def _any(self, sources: tuple[str, ...], words: str) -> bool:
        for source in expanded(sources, self._words):
            if source not in self._phrases:
                self._phrases[source] = Phrase(source)
            if self._phrases[source].found_in(words):
                return True
        return False

    def _fits(self, rule: Rule, text: str, provider: str) -> bool:
        given_, parts = rule.given, take_apart(text)
        if given_.provider and provider not in given_.provider:
            return False
        bare = RuleText(id="a", code=given_.code, status=given_.status, **{"class": given_.class_})
        if not Rule(bare, Rules([]).phrases, {}).fits_codes(parts.code, parts.status):
            return False
        words = plain(parts.words)
        words = words if given_.links or "://" not in words else without_links(words)
        if given_.sentence and not any(
            self._any(given_.sentence.text, one)
            and (not given_.sentence.and_ or self._any(given_.sentence.and_, one))
            and not self._any(given_.sentence.unless, one)
            for one in sentences(words)
        ):
            return False
        return (
            (not given_.text or self._any(given_.text, words))
            and (not given_.and_ or self._any(given_.and_, words))
            and not self._any(given_.unless, words)
        )


@functools.cache
def slowly() -> Slowly:
    """The shipped rules read the long way."""
    return Slowly(shipped())


def _texts() -> list[str]:
    own = [text for text, *_ in (*IP_EVENTS, *NO_IP_EVENTS, *UNKNOWN_HOSTS)]
    collected = [*reply_truth.manual(), *reply_truth.sisimai()][::7] if reply_truth.MANUAL.exists() else []
    return [*own, *(line.text for line in collected), "", "550", "5.1.1", "нет такого пользователя", "550 Boîte pleine"]


@pytest.mark.parametrize("provider", ["", "yahoo"])
def test_filing_phrases_changes_no_answer(provider: str) -> None:
    for text in _texts():
        assert shipped().first(take_apart(text), provider) is slowly().first(text, provider), text


@given(st.lists(st.sampled_from([word for text in _texts() for word in text.split()]), min_size=1, max_size=14))
@settings(max_examples=100, deadline=None)
def test_nor_does_it_for_words_in_any_order(words: list[str]) -> None:
    text = " ".join(words)
    assert shipped().first(take_apart(text), "") is slowly().first(text, "")


SENTENCE = """
[words]
who = ["your (server|host)", "<ip>"]
what = ["not welcome", "bloqué"]

[[rule]]
id = "ours"
unless = ["by mistake"]
class = "ip_blocked"
[rule.sentence]
text = ["{who}"]
and = ["{what}"]
unless = ["recipient"]
"""


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("550 your server is not welcome", True),
        ("550 not welcome here, 198.51.100.7", True),
        ("550 vous etes bloque, 198.51.100.7", True),
        ("550 vous êtes bloqué: 198.51.100.7", True),
        ("550 go away. Your host is not welcome. Ask the recipient to call us.", True),
        ("550 your host. You are not welcome", False),
        ("550 your host is not welcome to this recipient", False),
        ("550 your host is not welcome. Or so by mistake", False),
        ("550 e.g. your host, i.e. mail.example.org is not welcome", True),
    ],
)
def test_a_rule_can_ask_for_words_of_one_sentence(own: Path, text: str, fits: bool) -> None:
    try:
        taken(own, SENTENCE)
        assert (classify(text).rule == "ours") is fits
    finally:
        replies.use(None)


def test_words_of_an_installation_stand_in_the_place_of_shipped_ones(own: Path) -> None:
    text = "550 the zorblax is blocked"
    assert not classify(text).ip_event
    try:
        taken(own, '[words]\nip-name = ["zorblax"]')
        assert classify(text).ip_event
    finally:
        replies.use(None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[words]\na = ["{a}"]\n[[rule]]\nid = "a"\nclass = "policy"\ntext = ["{a}"]', "stands for itself"),
        ('[[rule]]\nid = "a"\nclass = "policy"\ntext = ["x {who-knows} y"]', "who-knows"),
        ('[[rule]]\nid = "a"\nclass = "policy"\ntext = ["x { y"]', "braces"),
        ('[[rule]]\nid = "a"\nclass = "policy"\n[rule.sentence]\nand = ["x"]', "sentence.text"),
        ('[words]\nA = ["x"]', "words"),
    ],
)
def test_wrong_words_and_sentences_are_named(own: Path, text: str, says: str) -> None:
    (own / "own.toml").write_text(text)
    with pytest.raises(BadRules, match=says):
        replies.use(own)
    assert classify("550 5.1.1 no such user").rule == "user-unknown"
