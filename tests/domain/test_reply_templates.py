"""Templates group replies of one kind; neither they nor the kept example name who was written to."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench import reply_truth
from domain.replies import classify, masked, template

_ATOM = string.ascii_letters + string.digits + "!#$%&*+-/=?^_`{|}~"
_dots = st.lists(st.text(_ATOM, min_size=1, max_size=20), min_size=1, max_size=4).map(".".join)
_local = _dots | st.text(string.ascii_letters + " .", min_size=3, max_size=20).map(lambda said: f'"{said}"')
_label = st.text(string.ascii_letters + string.digits, min_size=1, max_size=12)
_domain = st.lists(_label, min_size=2, max_size=4).map(".".join) | st.sampled_from(
    ["[192.0.2.9]", "[IPv6:2001:db8::9]", "Bücher.Example", "例え.テスト", "xn--bcher-kva.example"]
)
#: How mail systems put an address into their words.
_FRAMES = (
    "550 5.1.1 <{}>: Recipient address rejected: User unknown",
    "550-5.1.1 The account {} does not exist",
    "550 5.1.1 {}... User unknown",
    "smtp; 550 Requested action not taken: mailbox '{}' unavailable",
    "421 4.7.0 [{}] try again later",
    "550 ({}) unknown (in reply to RCPT TO command)",
    "550 RCPT TO:<{}> refused; see mailto:{}",
    '550 "{}" is over quota, {}, bye',
)


@given(local=_local, domain=_domain, frame=st.sampled_from(_FRAMES))
@example(local="A" * 64, domain="Example.ORG", frame=_FRAMES[0])
@example(local="bounces+" + "x" * 120, domain="example.org", frame=_FRAMES[1])
@settings(max_examples=400, deadline=None)
def test_no_mail_address_stays(local: str, domain: str, frame: str) -> None:
    address = f"{local}@{domain}"
    text = frame.replace("{}", address)
    for kept in (masked(text), template(text)):
        assert address.lower() not in kept.lower()
        assert "@" not in kept
        assert "<addr>" in kept


def test_the_domain_of_a_mailbox_provider_stays() -> None:
    kept = masked(
        "550 5.2.0 <Ada.Lovelace@Comcast.net> - Recipient unavailable, not <ada@example.org>", "x@comcast.net"
    )
    assert kept == "550 5.2.0 <addr@comcast.net> - Recipient unavailable, not <addr>"
    assert masked(kept) == kept
    assert classify(kept).provider == "comcast"


@given(domain=_domain)
@settings(max_examples=50, deadline=None)
def test_an_address_in_a_link_does_not_stay(domain: str) -> None:
    kept = masked(f"554 blocked, see https://example.com/unblock/Ada.Lovelace%40{domain}")
    assert "lovelace" not in kept.lower()


@given(
    local=st.text(string.ascii_letters, min_size=5, max_size=20).map(lambda said: f"Zq{said}"),
    frame=st.sampled_from(
        ["550 User {} unknown", "550 <{}> no such mailbox", "550 5.1.1 {}: gone", "550 no '{}' here"]
    ),
)
@settings(max_examples=100, deadline=None)
def test_the_recipient_is_known_by_the_local_part_alone(local: str, frame: str) -> None:
    text, recipient = frame.format(local.upper()), f"{local}@example.org"
    for kept in (masked(text, recipient), template(text, recipient)):
        assert local.lower() not in kept.lower()
        assert "<addr>" in kept


@pytest.mark.parametrize("recipient", ["user@example.org", "mail@example.org", "ab@example.org", "", "@", "nobody"])
def test_plain_words_stay_readable(recipient: str) -> None:
    said = "550 5.1.1 user unknown, mail ab refused"
    assert masked(said, recipient) == template(said, recipient) == said


def test_a_name_within_a_longer_word_stays() -> None:
    assert masked("550 jonathan and jon-a and jon", "jon@example.org") == "550 jonathan and jon-a and <addr>"


def test_hosts_of_the_recipient_make_no_templates_of_their_own() -> None:
    told = {
        template(f"554 5.7.1 mx.{name}.example says {name}.example wants none of it", f"info@{name}.example")
        for name in ("north", "south", "east")
    }
    assert told == {"554 5.7.1 <domain> says <domain> wants none of it"}
    assert "notnorth.example" in template("554 notnorth.example", "info@north.example")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("421 4.7.0 [TSS04] Messages from 192.0.2.1 deferred", "421 4.7.0 [TSS09] Messages from 192.0.2.1 deferred"),
        ("550 5.7.1 your network is on our block list (S3140)", "550 5.7.1 your network is on our block list (S3150)"),
        ("550 5.1.1 gone", "550 5.2.1 gone"),
        ("550 gone", "450 gone"),
    ],
)  # fmt: skip
def test_codes_that_carry_the_meaning_keep_replies_apart(one: str, other: str) -> None:
    assert template(one) != template(other)


@given(st.text(max_size=300), st.text(max_size=60))
@example("a@" * 50_000, "a@b.example")
@example('"a' * 50_000 + "@", "")
@example("%40" * 50_000, "")
@example("ada." * 50_000, "ada@ada.ada")
@settings(max_examples=200, deadline=2_000)
def test_no_text_breaks_the_masking(text: str, recipient: str) -> None:
    assert len(template(text, recipient)) <= 300
    assert "\0" not in masked(text, recipient)
    assert not re.search(r"\s\s", masked(text, recipient))


@pytest.mark.skipif(not reply_truth.MANUAL.exists(), reason="the collected replies are not part of this repository")
def test_an_example_is_read_as_the_reply_itself() -> None:
    lines = [line.text for line in reply_truth.manual()]
    kept = [line for line in lines if classify(masked(line)[:500]).class_ is classify(line).class_]
    assert kept == lines
    readings: dict[str, set[str]] = {}
    for line in lines:
        readings.setdefault(template(line), set()).add(classify(line).class_)
    assert all(len(one) == 1 for one in readings.values())
