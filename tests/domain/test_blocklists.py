"""What answers of blocklists mean, as tables."""

from __future__ import annotations

import pytest

from domain.blocklists import (
    ALLOW_ZONES,
    DOMAIN_ZONES,
    LONGEST_ECHO_SECONDS,
    ZONES,
    Outcome,
    State,
    Weight,
    Zone,
    delisting,
    echo_seconds,
    healthy,
    probes,
    query_name,
    read,
)

BY_NAME = {zone.name: zone for zone in (*ZONES, *DOMAIN_ZONES, *ALLOW_ZONES)}
ZEN, MAILSPIKE, DBL = BY_NAME["zen.spamhaus.org"], BY_NAME["bl.mailspike.net"], BY_NAME["dbl.spamhaus.org"]
NIBBLES = "1.0.0.0." + "0." * 20 + "8.b.d.0.1.0.0.2"


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("203.0.113.9", "9.113.0.203.zen.example."),
        ("::ffff:203.0.113.9", "9.113.0.203.zen.example."),
        ("::FFFF:CB00:7109", "9.113.0.203.zen.example."),
        ("2001:db8::1", f"{NIBBLES}.zen.example."),
        ("mail.example.", "mail.example.zen.example."),
    ],
)
def test_the_name_to_ask(subject: str, name: str) -> None:
    assert query_name(subject, "zen.example") == name


def test_an_ipv6_name_has_32_nibbles() -> None:
    assert len(query_name("2001:db8::1", "zen.example").removesuffix(".zen.example.").split(".")) == 32


@pytest.mark.parametrize(
    ("zone", "codes", "state", "part", "weight"),
    [
        ("zen.spamhaus.org", ["127.0.0.2"], State.LISTED, "SBL", Weight.CRITICAL),
        ("zen.spamhaus.org", ["127.0.0.3"], State.LISTED, "CSS", Weight.HIGH),
        ("zen.spamhaus.org", ["127.0.0.4"], State.LISTED, "XBL", Weight.CRITICAL),
        ("zen.spamhaus.org", ["127.0.0.7"], State.LISTED, "XBL", Weight.CRITICAL),
        ("zen.spamhaus.org", ["127.0.0.9"], State.LISTED, "DROP", Weight.CRITICAL),
        ("zen.spamhaus.org", ["127.0.0.3", "127.0.0.2"], State.LISTED, "SBL", Weight.CRITICAL),
        ("zen.spamhaus.org", ["127.0.0.8"], State.UNKNOWN, "", Weight.CRITICAL),
        ("zen.spamhaus.org", ["127.255.255.252"], State.UNKNOWN, "", Weight.CRITICAL),
        ("zen.spamhaus.org", ["127.255.255.254"], State.UNKNOWN, "", Weight.CRITICAL),
        ("zen.spamhaus.org", ["127.255.255.255"], State.UNKNOWN, "", Weight.CRITICAL),
        # A parked list answers every name with the address of a web server.
        ("zen.spamhaus.org", ["192.0.2.80"], State.UNKNOWN, "", Weight.CRITICAL),
        ("zen.spamhaus.org", [], State.UNKNOWN, "", Weight.CRITICAL),
        ("b.barracudacentral.org", ["127.0.0.2"], State.LISTED, "BRBL", Weight.HIGH),
        ("bl.spamcop.net", ["127.0.0.2"], State.LISTED, "SCBL", Weight.MEDIUM),
        ("psbl.surriel.com", ["127.0.0.2"], State.LISTED, "PSBL", Weight.LOW),
        ("bl.mailspike.net", ["127.0.0.10"], State.LISTED, "BL", Weight.MEDIUM),
        ("bl.mailspike.net", ["127.0.0.12"], State.LISTED, "BL", Weight.MEDIUM),
        ("bl.mailspike.net", ["127.0.0.13"], State.NOT_A_LISTING, "reputation", Weight.MEDIUM),
        ("bl.mailspike.net", ["127.0.0.20"], State.NOT_A_LISTING, "reputation", Weight.MEDIUM),
        ("bl.mailspike.net", ["127.0.0.21"], State.UNKNOWN, "", Weight.MEDIUM),
        ("hostkarma.junkemailfilter.com", ["127.0.0.1"], State.NOT_A_LISTING, "white", Weight.LOW),
        ("hostkarma.junkemailfilter.com", ["127.0.0.2"], State.LISTED, "black", Weight.LOW),
        ("dbl.spamhaus.org", ["127.0.1.2"], State.LISTED, "DBL", Weight.HIGH),
        ("dbl.spamhaus.org", ["127.0.1.106"], State.LISTED, "DBL abused", Weight.HIGH),
        ("dbl.spamhaus.org", ["127.0.1.255"], State.UNKNOWN, "", Weight.HIGH),
        ("list.dnswl.org", ["127.0.5.1"], State.NOT_A_LISTING, "", Weight.ALLOW),
        ("list.dnswl.org", ["127.0.0.255"], State.UNKNOWN, "", Weight.ALLOW),
    ],
)
def test_codes(zone: str, codes: list[str], state: State, part: str, weight: Weight) -> None:
    answer = read(BY_NAME[zone], Outcome.ADDRESSES, codes)
    assert (answer.state, answer.part, answer.weight) == (state, part, weight)
    assert answer.acts is (state is State.LISTED)


@pytest.mark.parametrize("code", ["127.0.0.10", "127.0.0.11"])
def test_pbl_is_no_listing_but_blocks_going_live(code: str) -> None:
    answer = read(ZEN, Outcome.ADDRESSES, [code])
    assert (answer.state, answer.acts, answer.blocks_live) == (State.NOT_A_LISTING, False, True)


def test_pbl_beside_a_listing_does_not_hide_it() -> None:
    answer = read(ZEN, Outcome.ADDRESSES, ["127.0.0.10", "127.0.0.4"])
    assert (answer.state, answer.part, answer.acts, answer.blocks_live) == (State.LISTED, "XBL", True, True)


@pytest.mark.parametrize("zone", ["dnsbl-2.uceprotect.net", "dnsbl-3.uceprotect.net"])
def test_a_neighbourhood_is_shown_and_never_acts(zone: str) -> None:
    answer = read(BY_NAME[zone], Outcome.ADDRESSES, ["127.0.0.2"])
    assert (answer.state, answer.weight, answer.acts) == (State.LISTED, Weight.SHOWN, False)


def test_nxdomain_is_clean_unless_a_public_resolver_says_it_for_spamhaus() -> None:
    assert read(ZEN, Outcome.NXDOMAIN, []).state is State.CLEAN
    assert read(ZEN, Outcome.NXDOMAIN, [], public=True).state is State.UNKNOWN
    assert read(DBL, Outcome.NXDOMAIN, [], public=True).state is State.UNKNOWN
    assert read(MAILSPIKE, Outcome.NXDOMAIN, [], public=True).state is State.CLEAN


@pytest.mark.parametrize("zone", [*ZONES, *DOMAIN_ZONES, *ALLOW_ZONES], ids=lambda zone: zone.name)
def test_failure_is_unknown_on_every_list(zone: Zone) -> None:
    answer = read(zone, Outcome.FAILURE, [], why="SERVFAIL")
    assert (answer.state, answer.acts, answer.reason) == (State.UNKNOWN, False, "SERVFAIL")


@pytest.mark.parametrize(
    ("outcome", "codes"), [(Outcome.ADDRESSES, ["127.0.0.2"]), (Outcome.NXDOMAIN, []), (Outcome.FAILURE, [])]
)
def test_a_dead_list_neither_lists_nor_clears(outcome: Outcome, codes: list[str]) -> None:
    sorbs = Zone(name="dnsbl.sorbs.net", listed={"127.0.0.2": ("SORBS", Weight.CRITICAL)})
    answer = read(sorbs, outcome, codes)
    assert (answer.state, answer.acts) == (State.UNKNOWN, False)


def test_a_dead_list_is_not_asked() -> None:
    assert "dnsbl.sorbs.net" not in BY_NAME


@pytest.mark.parametrize(
    ("must", "must_not", "well"),
    [
        (["127.0.0.2"], None, True),
        (["127.0.0.2"], ["127.0.0.10"], True),
        (None, None, False),
        (["127.0.0.2"], ["127.0.0.2"], False),
        (["127.255.255.254"], None, False),
        (["127.0.0.2"], ["127.255.255.254"], False),
    ],
    ids=["alive", "graded", "empty", "wildcard", "refuses", "half refuses"],
)
def test_a_list_is_believed_only_when_its_probes_hold(
    must: list[str] | None, must_not: list[str] | None, well: bool
) -> None:
    def said(codes: list[str] | None):  # noqa: ANN202
        return read(ZEN, Outcome.NXDOMAIN, []) if codes is None else read(ZEN, Outcome.ADDRESSES, codes)

    assert healthy(ZEN, said(must), said(must_not)) is well


def test_probes_of_addresses_and_of_domains() -> None:
    assert probes(ZEN) == ("127.0.0.2", "127.0.0.1")
    assert probes(DBL) == ("test", "invalid")


@pytest.mark.parametrize(("ttl", "seconds"), [(0, 0), (60, 60), (LONGEST_ECHO_SECONDS + 1, LONGEST_ECHO_SECONDS)])
def test_an_answer_echoes_for_its_ttl_but_an_hour_at_most(ttl: int, seconds: int) -> None:
    assert echo_seconds(read(ZEN, Outcome.ADDRESSES, ["127.0.0.2"], ttl=ttl)) == seconds


@pytest.mark.parametrize("zone", [*ZONES, *DOMAIN_ZONES], ids=lambda zone: zone.name)
def test_every_list_has_its_way_off(zone: Zone) -> None:
    assert delisting(zone.name)


def test_an_unknown_list_has_no_way_off() -> None:
    assert delisting("lists.example") == ""
