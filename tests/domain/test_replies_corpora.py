"""The classifier against replies that nobody here wrote: the aims of docs/replies.md hold."""

from __future__ import annotations

import pytest

from bench import replies, reply_truth
from bench.reply_truth import Line

with_corpora = pytest.mark.skipif(
    not reply_truth.MANUAL.exists(), reason="../shared/corpora is not there: the classifier is NOT held to its aims"
)


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    """All labelled lines."""
    return [*reply_truth.manual(), *reply_truth.sisimai()]


@with_corpora
def test_ip_events_are_found_and_nothing_else_is_called_one(lines: list[Line]) -> None:
    counts, wrong = replies.count(lines)
    assert counts["all"].hit + counts["all"].missed >= 20
    assert counts["all"].precision >= replies.PRECISION_AIM, wrong
    assert counts["all"].recall >= replies.RECALL_AIM, wrong


@with_corpora
def test_classes_agree_with_the_reasons_of_others(lines: list[Line]) -> None:
    whole = replies.count(lines)[0]["all"]
    assert whole.agreed >= 0.95 * whole.reasons


@with_corpora
def test_the_general_rules_know_most_without_knowing_the_provider(lines: list[Line]) -> None:
    general = replies.general_rules(lines)
    assert general.precision >= 0.9
    assert general.recall >= 0.8
