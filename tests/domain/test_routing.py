"""Whose mail it is, which IPs may send it in which order, and what stands in the way: as tables."""

from __future__ import annotations

import pytest

from domain.routing import Exit, Party, Routes, campaign_of, circle, ranked, refusal, spread, transport_name

ROUTES = Routes(
    exits={
        one.address: one
        for one in (
            Exit("198.51.100.1", "main"),
            Exit("198.51.100.2", "main", warm=True),
            Exit("198.51.100.3", "main", sender="acme"),
            Exit("198.51.100.4", "spare"),
            Exit("198.51.100.5", "spare", warm=True),
            Exit("198.51.100.6", "spare", sender="other"),
            Exit("198.51.100.9", "spare", warm=True, at_risk=True),
            Exit("198.51.100.7", "last", domain="tenant.example"),
            Exit("198.51.100.8", "lost"),
        )
    },
    overflow={"main": "spare", "spare": "last", "last": "main", "lost": None},
    senders={"acme": "main", "other": "spare"},
    matches={"app@acme.example": "acme", "acme.example": "acme", "smtp-17": "acme", "other.example": "other"},
    campaigns={"spring": "acme", "sale": "other"},
)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("198.51.100.7", "wp-198-51-100-7"),
        ("2001:DB8::7", "wp-2001-db8--7"),
        ("2001:db8:0:1::", "wp-2001-db8-0-1--"),
    ],
)
def test_a_transport_is_named_by_its_address(address: str, name: str) -> None:
    assert transport_name(address) == name


@pytest.mark.parametrize(
    ("login", "mail_from", "campaign"),
    [
        ("", "news+spring@acme.example", "spring"),
        ("", "bounce+Spring+ann=example.org@acme.example", "spring"),
        ("app+spring@acme.example", "news@acme.example", "spring"),
        ("app+autumn@acme.example", "news+spring@acme.example", "spring"),
        ("app", "news@acme.example", None),
        ("", "news+@acme.example", None),
        ("", "+spring@acme.example", "spring"),
        ("", "", None),
    ],
)
def test_a_campaign_is_the_extension_of_the_address(login: str, mail_from: str, campaign: str | None) -> None:
    assert campaign_of(login, mail_from) == campaign


@pytest.mark.parametrize(
    ("login", "mail_from", "party"),
    [
        ("smtp-17", "x@elsewhere.example", Party(sender="acme")),
        ("SMTP-17", "", Party(sender="acme")),
        ("acme", "x@elsewhere.example", Party(sender="acme")),
        ("app+spring@acme.example", "x@elsewhere.example", Party(sender="acme", campaign="spring")),
        ("unknown", "news@ACME.example", Party(sender="acme")),
        ("", "news+spring@acme.example", Party(sender="acme", campaign="spring")),
        ("", "news+sale@acme.example", Party(sender="acme")),  # a campaign of another sender is none
        ("smtp-17", "x@other.example", Party(sender="acme")),  # the login counts before the address
        ("", "x@tenant.example", Party(domain="tenant.example")),
        ("", "x@sub.acme.example", None),
        ("", "", None),
    ],
)
def test_whose_mail_it_is(login: str, mail_from: str, party: Party | None) -> None:
    assert ROUTES.party(login, mail_from) == party


def test_strangers_go_to_the_default_pool_where_there_is_one() -> None:
    assert Routes(default_pool="bulk").party("", "x@elsewhere.example") == Party(pool="bulk")


@pytest.mark.parametrize(
    ("party", "tiers"),
    [
        # Own IPs, the shared ones of the pool, the warm ones of the overflow, and no way round the circle again.
        (
            Party(sender="acme"),
            (
                ("198.51.100.3",),
                ("198.51.100.1", "198.51.100.2"),
                ("198.51.100.5",),
            ),
        ),
        (Party(pool="lost"), (("198.51.100.8",),)),
        # An IP at risk goes on for its own pool, and is no overflow of others.
        (
            Party(sender="other"),
            (
                ("198.51.100.6",),
                ("198.51.100.4", "198.51.100.5", "198.51.100.9"),
                ("198.51.100.2",),
            ),
        ),
        (Party(pool="nowhere"), ()),
        # Its siblings in the pool are not for a domain's mail, the overflow of the pool is.
        (Party(domain="tenant.example"), (("198.51.100.7",), ("198.51.100.2",), ("198.51.100.5",))),
    ],
)  # fmt: skip
def test_the_ips_to_try(party: Party, tiers: tuple[tuple[str, ...], ...]) -> None:
    assert ROUTES.tiers(party) == tiers


@pytest.mark.parametrize(
    ("pause", "party", "why"),
    [
        (("all", ""), Party(pool="main"), "all mail is paused: x"),
        (("sender", "acme"), Party(sender="acme"), "sender acme is paused: x"),
        (("sender", "acme"), Party(sender="other"), ""),
        (("campaign", "spring"), Party(sender="acme", campaign="spring"), "campaign spring is paused: x"),
        (("campaign", "spring"), Party(sender="acme"), ""),
        (("pool", "main"), Party(sender="acme"), ""),  # its IPs are closed, the overflow may stay open
    ],
)
def test_a_pause_stops_whom_it_covers(pause: tuple[str, str], party: Party, why: str) -> None:
    assert Routes(pauses={pause: "x"}).stopped(party) == why


@pytest.mark.parametrize(
    ("pauses", "held", "why"),
    [
        ({("ip", "198.51.100.1"): "x"}, {}, "198.51.100.1 is paused: x"),
        ({("pool", "main"): ""}, {}, "pool main is paused"),
        ({}, {"198.51.100.1": "listed"}, "198.51.100.1 is paused: listed"),
        ({("ip", "198.51.100.2"): "x"}, {}, ""),
    ],
)
def test_what_closes_an_ip(pauses: dict[tuple[str, str], str], held: dict[str, str], why: str) -> None:
    assert Routes(exits=ROUTES.exits, pauses=pauses, held=held).closed("198.51.100.1") == why


def test_an_ip_that_does_not_send_is_closed() -> None:
    assert ROUTES.closed("203.0.113.1") == "203.0.113.1 is neither warming nor at full capacity"


@pytest.mark.parametrize(
    ("pool", "to", "path"),
    [
        ("lost", "main", ()),  # main runs in a circle of its own; the walk ends all the same
        ("new", "lost", ()),
        ("lost", None, ()),
        ("lost", "lost", ("lost", "lost")),
        ("last", "main", ("last", "main", "spare", "last")),
        ("spare", "nowhere", ()),
    ],
)
def test_a_circle_of_pools_is_named(pool: str, to: str | None, path: tuple[str, ...]) -> None:
    assert circle(ROUTES.overflow, pool, to) == path


@pytest.mark.parametrize(
    ("shares", "order"),
    [
        ({}, ["a", "b", "c"]),
        ({"a": 0.5, "c": 0.75}, ["b", "c", "a"]),
        ({"a": 0.0, "b": 0.0, "c": 0.01}, ["c", "a", "b"]),
    ],
)
def test_the_ip_with_the_largest_part_left_goes_first(shares: dict[str, float], order: list[str]) -> None:
    assert ranked(("c", "a", "b"), shares) == order


@pytest.mark.parametrize(
    ("count", "rooms", "parts"),
    [
        (10, [20, 20], [5, 5]),
        (10, [3, 20, 20], [3, 4, 3]),
        (1, [5, 5], [1, 0]),
        (10, [2, 0, 3], [2, 0, 3]),
        (7, [], []),
        (0, [5], [0]),
    ],
)
def test_mails_are_spread_evenly_and_never_past_a_room(count: int, rooms: list[int], parts: list[int]) -> None:
    assert spread(count, rooms) == parts


def test_an_ip_asked_for_by_itself_is_stopped_with_its_sender() -> None:
    routes = Routes(exits=ROUTES.exits, pauses={("sender", "acme"): "x"})
    assert routes.stopped(Party(ip="198.51.100.3")) == "sender acme is paused: x"
    assert routes.stopped(Party(ip="198.51.100.1")) == ""
    assert routes.tiers(Party(ip="198.51.100.3")) == (("198.51.100.3",),)


def test_mail_of_a_domain_whose_ip_is_a_senders_is_that_senders() -> None:
    own = Exit("198.51.100.9", sender="acme", domain="own.example")
    assert Routes(exits={own.address: own}).party("", "news@own.example") == Party(sender="acme")
    other = Exit("198.51.100.10", sender="other", domain="own.example")
    # Of two senders it is nobody's, rather than the wrong one's.
    assert Routes(exits={one.address: one for one in (own, other)}).party("", "news@own.example") is None


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ([], "no IP of sender acme is warming or at full capacity; start a warm-up or add one"),
        (["a is paused", "a is paused"], "a is paused"),
        (["a", "b", "c", "d", "e"], "a; b; c; and 2 more IPs"),
    ],
)
def test_a_refusal_names_the_first_reasons(reasons: list[str], said: str) -> None:
    assert refusal(Party(sender="acme"), reasons) == said


def test_a_refusal_fits_an_smtp_reply() -> None:
    assert len(refusal(Party(pool="main"), ["x" * 300, "y" * 300, "z", "w"])) < 420
