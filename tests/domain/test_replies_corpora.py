"""The classifier held to the aims of docs/replies.md: on lines of our own, and on those that nobody here wrote."""

from __future__ import annotations

import pytest

from bench import replies, reply_truth
from bench.reply_truth import Line

#: Replies in words of our own around the codes and tokens that providers document, with who is to blame.
BLAMES_IP = [
    ("gmail", "421-4.7.0 [198.51.100.7] mail is slowed: very low reputation of the sending IP"),
    ("gmail", "421 4.7.28 an unusual rate of mail comes from your IP 198.51.100.7, which is rate limited"),
    ("gmail", "421 4.7.28 an unusual rate of mail comes from your netblock 198.51.100.0/24"),
    ("microsoft", "451 4.7.650 the mail server [198.51.100.7] is rate limited for its IP reputation"),
    ("microsoft", "451 4.7.651 the mail server [198.51.100.7] is rate limited for its IP reputation"),
    ("microsoft", "550 5.7.1 messages from [198.51.100.7] were not sent; part of the network is on a list (S3140)"),
    ("microsoft", "550 5.7.1 messages from [198.51.100.7] were not sent; part of the network is on a list (S3150)"),
    ("microsoft", "421 RP-001 the IP sends more than its reputation allows"),
    ("microsoft", "550 5.7.606 access denied, banned sending IP [198.51.100.7]"),
    ("microsoft", "550 5.7.511 access denied, banned sender [198.51.100.7]"),
    ("yahoo", "421 4.7.0 [TSS04] messages from 198.51.100.7 are put off for complaints"),
    ("yahoo", "421 4.7.1 [TS03] all messages from 198.51.100.7 are put off for good"),
    ("yahoo", "553 5.7.1 [BL21] the IP 198.51.100.7 is on a block list"),
    ("yahoo", "553 5.7.1 [BL23] the IP 198.51.100.7 is on a block list"),
]
BLAMES_ANOTHER = [
    ("gmail", "421 4.7.28 unusual rate of mail with your DKIM domain example.com", {"rate_limited", "domain_blocked"}),
    ("gmail", "550 5.1.1 the account does not exist", {"unknown_user"}),
    ("gmail", "452 4.2.2 the mailbox is over quota", {"mailbox_full"}),
    ("gmail", "550 5.7.25 the IP has no PTR record", {"sender_setup"}),
    ("gmail", "421 4.7.23 the PTR of the IP does not match", {"sender_setup"}),
    ("microsoft", "550 5.7.515 access denied, the sending domain does not authenticate", {"authentication"}),
    ("microsoft", "550 5.7.513 service unavailable, the recipient does not take it", {"policy", "sender_refused"}),
    ("microsoft", "550 5.4.1 recipient address rejected: access denied", {"unknown_user", "unknown_domain", "policy"}),
    ("microsoft", "550 5.5.0 requested action not taken: mailbox unavailable", {"unknown_user"}),
    ("yahoo", "554 5.7.9 message not accepted for policy reasons [PH01]", {"content", "policy"}),
    ("other", "550 5.1.2 the domain example.com does not exist", {"unknown_domain"}),
    ("other", "552 5.3.4 message too big for the system", {"too_large"}),
    ("other", "452 4.3.1 not enough disk space on this system", {"receiver_fault", "rate_limited"}),
]


def _own() -> list[Line]:
    guilty = [Line(who, text, True) for who, text in BLAMES_IP]
    return guilty + [Line(who, text, False, frozenset(agrees)) for who, text, agrees in BLAMES_ANOTHER]


def _collected() -> list[Line]:
    return [*reply_truth.manual(), *reply_truth.sisimai()]


@pytest.fixture(scope="module", params=["own", *(["collected"] if reply_truth.MANUAL.exists() else [])])
def lines(request: pytest.FixtureRequest) -> list[Line]:
    """Labelled lines: of our own, or all that were collected."""
    return _own() if request.param == "own" else _collected()


def test_ip_events_are_found_and_nothing_else_is_called_one(lines: list[Line]) -> None:
    counts, wrong = replies.count(lines)
    assert counts["all"].hit + counts["all"].missed >= len(BLAMES_IP)
    assert counts["all"].precision >= replies.PRECISION_AIM, wrong
    assert counts["all"].recall >= replies.RECALL_AIM, wrong


def test_classes_agree_with_the_reasons_of_others(lines: list[Line]) -> None:
    whole = replies.count(lines)[0]["all"]
    assert whole.agreed >= 0.95 * whole.reasons


def test_the_general_rules_know_most_without_knowing_the_provider(lines: list[Line]) -> None:
    general = replies.general_rules(lines)
    assert general.precision >= 0.9
    assert general.recall >= 0.8
