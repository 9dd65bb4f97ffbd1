"""Names as typed, and host names that follow from an order."""

from __future__ import annotations

import pytest

from domain.names import check_host, nth, parse
from domain.refusals import Refused


@pytest.mark.parametrize("typed", ["mail.example.com", "MAIL.Example.COM", "mail.example.com.", "  mail.example.com\n"])
def test_one_form_for_every_spelling(typed: str) -> None:
    assert parse(typed, field="domain") == "mail.example.com"


@pytest.mark.parametrize("typed", ["xn--mnchen-3ya.example", "a.xn--p1ai", "x" * 63 + ".example"])
def test_names_that_are_fine(typed: str) -> None:
    assert parse(typed, field="domain") == typed


@pytest.mark.parametrize(
    "typed",
    ["", ".", "example", "example.com..", ".example.com", "a..b.com", "-a.com", "a-.com", "a_b.com", "192.0.2.1",
     "a b.com", "a.com\x00", "a\n.com", "x" * 64 + ".com", "a." * 127 + "com", "x" * 10_000],
)  # fmt: skip
def test_what_is_no_name(typed: str) -> None:
    with pytest.raises(Refused, match="is no domain name; give one such as") as refusal:
        parse(typed, field="hostname")
    assert (refusal.value.field, refusal.value.code) == ("hostname", "name")
    assert len(refusal.value.detail) < 180


@pytest.mark.parametrize("typed", ["münchen.example", "straße.example", "📮.example", "example.рф"])
def test_a_name_outside_of_ascii_is_not_guessed(typed: str) -> None:
    with pytest.raises(Refused, match="starts with xn--"):
        parse(typed, field="domain")


@pytest.mark.parametrize(
    ("host", "domain", "count", "said"),
    [
        ("d.test", "d.test", 1, None),
        ("mail.d.test", "d.test", 50, None),
        ("a.b.d.test", "d.test", 1, None),
        ("maild.test", "d.test", 1, "is no name in d.test"),
        ("mail.e.test", "d.test", 1, "give one such as mail.d.test, or order for the domain it lies in"),
        ("mail.d.test", "sub.d.test", 1, "is no name in sub.d.test"),
        ("d.test", "d.test", 2, "2 IPs need names of their own"),
        ("m" * 61 + ".d.test", "d.test", 9, None),
        ("m" * 61 + ".d.test", "d.test", 10, "no room to number 10 names"),
    ],
)
def test_a_host_name_lies_in_the_ordered_domain(host: str, domain: str, count: int, said: str | None) -> None:
    if said is None:
        check_host(host, domain, count)
        return
    with pytest.raises(Refused, match=said):
        check_host(host, domain, count)


def test_each_ip_of_an_order_has_a_name_of_its_own() -> None:
    assert [nth("mail.d.test", n) for n in range(3)] == ["mail.d.test", "mail-2.d.test", "mail-3.d.test"]
