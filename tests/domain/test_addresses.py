"""Which addresses may send, in which profile."""

from __future__ import annotations

import pytest

from domain.addresses import parse
from domain.refusals import Refused

PUBLIC = [("8.8.8.8", "8.8.8.8"), ("2A00:1450:0::1", "2a00:1450::1"), ("::ffff:8.8.8.8", "8.8.8.8")]
#: Space for trying out: it never leaves the machine or network.
SANDBOX = ["10.0.0.1", "172.16.9.9", "192.168.0.9", "203.0.113.9", "2001:db8::5", "3fff::5", "fd00::1", "::ffff:a00:1"]
NEVER = [
    "127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "0.1.2.3", "::", "169.254.169.254", "::ffff:169.254.169.254",
    "fe80::1", "fec0::1", "224.0.0.1", "ff02::1", "240.0.0.1", "255.255.255.255", "100.64.0.1", "192.88.99.1",
    "::8.8.8.8", "64:ff9b::808:808", "64:ff9b:1::1", "2001:0:808::1", "2002:808:808::1", "4000::1",
]  # fmt: skip


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize(("typed", "kept"), PUBLIC)
def test_public_space_sends_everywhere_under_one_spelling(typed: str, kept: str, live: bool) -> None:
    assert parse(f" {typed} ", live=live) == kept


@pytest.mark.parametrize("typed", SANDBOX)
def test_private_and_documentation_space_is_for_trying_out(typed: str) -> None:
    assert parse(typed, live=False)
    with pytest.raises(Refused, match="private or reserved space.*give a public address"):
        parse(typed, live=True)


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("typed", NEVER)
def test_what_no_mail_ever_leaves_from(typed: str, live: bool) -> None:
    with pytest.raises(Refused) as refusal:
        parse(typed, live=live)
    assert refusal.value.code == "reserved_address"


@pytest.mark.parametrize(
    "typed", ["", "203.0.113", "203.0.113.010", "203.0.113.9/32", "0x08080808", "8.8.8.8\x00", "２.2.2.2", "x" * 10_000]
)
def test_what_is_no_address_is_named_and_not_repeated_in_full(typed: str) -> None:
    with pytest.raises(Refused, match="is no IP address; give one") as refusal:
        parse(typed, live=False)
    assert len(refusal.value.detail) < 150


def test_an_address_of_one_interface_is_refused_with_the_fix() -> None:
    with pytest.raises(Refused, match="without '%eth0'"):
        parse("2a00:1450::1%eth0", live=True)
