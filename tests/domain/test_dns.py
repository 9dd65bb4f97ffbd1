"""The record set, what an answer says about it, and the fix of each trouble."""

from __future__ import annotations

import datetime as dt

import pytest

from domain import dns, dns_findings, propagation
from domain.refusals import Refused

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
WISH = dns.Wish(
    address="203.0.113.9", hostname="mail.shop.test", domain="shop.test", dkim_record="v=DKIM1; k=rsa; p=AAAA"
)


def record(key: str, existing: dns.Existing | None = None, wish: dns.Wish = WISH) -> dns.Record:
    return {r.key: r for r in dns.render(wish, existing or dns.Existing())}[key]


def answer(*values: str, outcome: str = "answer", serial: int | None = None, server: str = "ns1") -> dns.Answer:
    return dns.Answer(server=server, outcome=outcome, values=list(values), serial=serial, at=NOW)


def test_record_set_holds_what_a_receiver_asks_for() -> None:
    keys = [r.key for r in dns.render(WISH, dns.Existing())]
    assert keys == ["a", "ptr", "mx", "spf", "dkim", "dmarc"]
    assert record("ptr").name == "9.113.0.203.in-addr.arpa"
    assert record("dmarc").expected == ["v=DMARC1; p=none"]


def test_ipv6_gets_an_aaaa_and_a_nibble_ptr() -> None:
    wish = WISH.model_copy(update={"address": "2001:db8::9"})
    assert record("aaaa", wish=wish).expected == ["2001:db8::9"]
    assert record("ptr", wish=wish).zone_hint == "0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"


def test_what_the_domain_has_stays() -> None:
    existing = dns.Existing(mx=["5 mx.other.test"], dmarc=["v=DMARC1; p=reject"], txt=["v=spf1 mx -all"])
    assert record("mx", existing).expected == ["5 mx.other.test"]
    assert record("dmarc", existing).expected == ["v=DMARC1; p=reject"]
    assert record("spf", existing).expected == ["v=spf1 ip4:203.0.113.9 mx -all"]


def test_an_mx_of_ones_own_is_added_to_and_never_taken_away() -> None:
    wanted = record("mx", dns.Existing(mx=["5 mx.other.test"]), WISH.model_copy(update={"mx": "mail.shop.test"}))
    servers = [answer("5 mx.other.test.")]
    view = dns.RecordView(record=wanted, servers=servers, published=dns_findings.published_state(wanted, servers))
    (finding,) = dns_findings.findings(view)
    assert finding.fix.startswith("Add MX shop.test = 10 mail.shop.test, beside what is there")
    assert dns_findings.judge(wanted, answer("5 mx.other.test.", "10 mail.shop.test.")) is dns.RecordState.PUBLISHED


def test_an_override_of_no_record_is_refused() -> None:
    with pytest.raises(Refused, match="no record 'bimi'"):
        dns.render(WISH.model_copy(update={"overrides": {"bimi": ["x"]}}), dns.Existing())


@pytest.mark.parametrize(
    ("key", "given", "state", "code"),
    [
        ("ptr", answer(outcome="nxdomain"), dns.RecordState.MISSING, "missing_ptr"),
        ("ptr", answer("other.test."), dns.RecordState.WRONG, "wrong_ptr"),
        ("ptr", answer("mail.shop.test.", "b.test."), dns.RecordState.EXTRA, "second_ptr"),
        ("a", answer(outcome="timeout"), dns.RecordState.TIMEOUT, "server_timeout"),
        ("a", answer(outcome="lame"), dns.RecordState.SERVER_FAILURE, "lame_server"),
        ("a", answer("203.0.113.9", outcome="no_authority"), dns.RecordState.SERVER_FAILURE, "not_authoritative"),
        ("a", answer(outcome="server_failure"), dns.RecordState.SERVER_FAILURE, "server_failure"),
        ("spf", answer("v=spf1 ip4:203.0.113.9 ~all", "v=spf1 -all"), dns.RecordState.EXTRA, "second_spf"),
        ("dkim", answer("v=DKIM1; p=BBBB"), dns.RecordState.WRONG, "wrong"),
    ],
)
def test_each_trouble_has_its_finding_and_fix(key: str, given: dns.Answer, state: dns.RecordState, code: str) -> None:
    wanted = record(key)
    assert dns_findings.judge(wanted, given) is state
    view = dns.RecordView(record=wanted, servers=[given], published=dns_findings.published_state(wanted, [given]))
    (finding,) = dns_findings.findings(view)
    assert finding.code == code
    assert finding.fix
    assert finding.blocking


def test_a_name_with_other_texts_only_says_so() -> None:
    given = answer("site-verification=1")
    view = dns.RecordView(record=record("spf"), servers=[given], published=dns_findings.judge(record("spf"), given))
    assert "found ns1: other values only." in dns_findings.findings(view)[0].detail


def test_somebody_elses_txt_is_noted_and_does_not_block() -> None:
    given = answer("v=spf1 ip4:203.0.113.9 ~all", "site-verification=1")
    view = dns.RecordView(record=record("spf"), servers=[given], published=dns_findings.judge(record("spf"), given))
    (finding,) = dns_findings.findings(view)
    assert (finding.code, finding.blocking) == ("foreign_txt", False)


def test_an_spf_record_that_lets_everybody_send_is_told_and_never_typed() -> None:
    given = answer("v=spf1 ip4:203.0.113.9 +all")
    view = dns.RecordView(record=record("spf"), servers=[given], published=dns_findings.judge(record("spf"), given))
    (finding,) = dns_findings.findings(view)
    assert (finding.code, finding.blocking) == ("open_spf", False)
    assert finding.fix.startswith("End it with ~all or -all")
    with pytest.raises(Refused, match="everybody may send") as refused:
        dns.check_overrides(["spf"], {"spf": ["v=spf1 mx +all"]})
    assert refused.value.field == "values.spf"


def test_an_older_serial_is_not_published() -> None:
    wanted = record("a").model_copy(update={"serial": 7})
    answers = [answer("203.0.113.9", serial=7), answer("203.0.113.9", serial=6)]
    assert dns_findings.published_state(wanted, answers) is dns.RecordState.MISSING
    answers[1].serial = 8
    assert dns_findings.published_state(wanted, answers) is dns.RecordState.PUBLISHED


def test_visible_needs_the_quorum() -> None:
    three = [answer("203.0.113.9")] * 3 + [answer(outcome="nxdomain")]
    assert dns_findings.visible_state(record("a"), three, 0.75) is dns.RecordState.VISIBLE
    assert dns_findings.visible_state(record("a"), three[1:], 0.75) is dns.RecordState.MISSING


def test_long_txt_is_cut_at_255_bytes() -> None:
    assert [len(part) for part in dns.quoted("x" * 600).strip('"').split('" "')] == [255, 255, 90]


def test_zone_file_leaves_the_ptr_to_the_vendor() -> None:
    text = dns.zone_file(dns.render(WISH, dns.Existing()))
    assert (
        "\n; in the reverse zone, the vendor's or yours: 9.113.0.203.in-addr.arpa. 300 IN PTR mail.shop.test." in text
    )
    assert 'shop.test. 300 IN TXT "v=spf1 ip4:203.0.113.9 ~all"' in text


def test_waiting_follows_the_negative_ttl() -> None:
    assert propagation.negative_ttl(3600, 30) == 30
    assert propagation.next_ask(published=True, remaining_ttls=[30, 12], waited=0) == 30.5
    assert propagation.next_ask(published=False, remaining_ttls=[], waited=600) == 60
    assert propagation.serial_reached(1, 2**32 - 1)


def test_the_next_look_follows_what_the_last_one_found() -> None:
    wanted = record("a")
    held = answer(outcome="nxdomain").model_copy(update={"ttl": 40})
    unpublished = dns.RecordView(record=wanted, published=dns.RecordState.MISSING)
    spreading = dns.RecordView(record=wanted, published=dns.RecordState.PUBLISHED, resolvers=[held])
    assert dns_findings.until_next_look([unpublished, spreading], 600) == 60, "one is not published yet"
    assert dns_findings.until_next_look([spreading], 600) == 40.5, "a resolver keeps what it holds for 40 s"


def test_another_ip_of_the_domain_takes_over_what_is_shared_and_keeps_its_own() -> None:
    held = dns.render(WISH, dns.Existing())
    second = WISH.model_copy(
        update={
            "address": "203.0.113.10",
            "hostname": "mail-2.shop.test",
            "siblings": ["203.0.113.9"],
            "known_mx": ["10 mail.shop.test"],
            "overrides": {"dmarc": ["v=DMARC1; p=reject"]},
        }
    )
    shared = dns.render(second, dns.Existing())
    for verified in (True, False):
        taken = {r.key: r for r in dns.adopt(held, shared, "203.0.113.9", verified=verified)}
        assert (taken["a"].expected, taken["ptr"].expected) == (["203.0.113.9"], ["mail.shop.test"])
        assert taken["dmarc"].expected == ["v=DMARC1; p=reject"]
        assert taken["dmarc"].previous == (["v=DMARC1; p=none"] if verified else [])
        assert taken["spf"].others == ["203.0.113.10"]
        old = dns_findings.judge(taken["dmarc"], answer("v=DMARC1; p=none"))
        assert old is (dns.RecordState.PUBLISHED if verified else dns.RecordState.WRONG)
    assert dns_findings.judge(taken["spf"], answer("v=spf1 ip4:203.0.113.9 ~all")) is dns.RecordState.PUBLISHED
    assert dns_findings.judge(taken["spf"], answer("v=spf1 ip4:203.0.113.10 ~all")) is dns.RecordState.WRONG
    assert shared[2].expected == ["10 mail.shop.test"], "the domain's MX, not one more"


def test_a_key_that_is_not_ours_is_not_handed_to_an_imported_ip() -> None:
    held = dns.render(WISH.model_copy(update={"dkim_record": None}), dns.Existing())
    shared = dns.render(WISH.model_copy(update={"address": "203.0.113.10"}), dns.Existing())
    assert "dkim" not in [r.key for r in dns.adopt(held, shared, "203.0.113.9", verified=True)]


def test_servers_that_differ_at_one_serial_are_told_from_a_stale_one() -> None:
    wanted = record("a")
    for serial, code in ((6, "stale_server"), (7, "servers_disagree"), (8, "wrong")):
        servers = [answer("203.0.113.9", serial=7), answer("203.0.113.8", serial=serial, server="ns2")]
        view = dns.RecordView(record=wanted, servers=servers, published=dns_findings.published_state(wanted, servers))
        (finding,) = dns_findings.findings(view)
        assert finding.code == code
