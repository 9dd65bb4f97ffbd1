"""MTA-STS records and policies, TLS-RPT and BIMI as an operator may ask for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from domain import dns, mta_sts
from domain.dns_checks import bimi_check, sts_check
from domain.dns_options import Bimi, DnsOptions, MtaSts, checked
from domain.refusals import Refused
from tests.corpora import collected

#: Of RFC 8461: what a record and a policy may look like, and what is none.
OWN = {
    "record_good": ["v=STSv1; id=20260101;", "v=STSv1;id=a1", "v=STSv1; id=20260101; more=told;"],
    "record_bad": ["", "v=STSv2; id=1;", "v=STSv1", "v=STSv1; id=;", "v=STSv1; id=has-dashes;", "id=1; v=STSv1"],
    "policy_good": [
        "version: STSv1\nmode: enforce\nmx: mx.shop.test\nmax_age: 604800\n",
        "version: STSv1\r\nmode: testing\r\nmx: *.shop.test\r\nmx: mx.other.test\r\nmax_age: 1\r\n",
        "version: STSv1\nmode: none\nmax_age: 31557600\n",
    ],
    "policy_bad": [
        "version: STSv2\nmode: none\nmax_age: 1\n",
        "mode: none\nmax_age: 1\n",
        "version: STSv1\nmode: always\nmax_age: 1\n",
        "version: STSv1\nmode: none\n",
        "version: STSv1\nmode: none\nmax_age: soon\n",
        "version: STSv1\nmode: none\nmax_age: 31557601\n",
    ],
}
POLICY = mta_sts.Policy(mode=mta_sts.Mode.ENFORCE, mx=["mail.shop.test"], max_age=86_400)


def taken(kind: str, text: str) -> bool:
    try:
        (mta_sts.parse_record if kind == "record" else mta_sts.parse_policy)(text)
    except Refused:
        return False
    return True


@pytest.mark.parametrize("source", [None, *collected("dns/mtasts_cases_mox.json")], ids=lambda one: one and one.stem)
@pytest.mark.parametrize("kind", ["record", "policy"])
def test_records_and_policies_good_and_bad(kind: str, source: Path | None) -> None:
    cases = json.loads(source.read_text()) if source else OWN
    assert [text for text in cases[f"{kind}_good"] if not taken(kind, text)] == []
    assert [text for text in cases[f"{kind}_bad"] if taken(kind, text)] == []


def test_our_own_policy_is_read_back_and_its_id_follows_its_content() -> None:
    assert mta_sts.parse_policy(POLICY.text()) == POLICY
    assert mta_sts.parse_record(mta_sts.record(POLICY)) == POLICY.id()
    assert POLICY.model_copy(update={"max_age": 1}).id() != POLICY.id()
    assert "\r\nmx: mail.shop.test\r\n" in POLICY.text()


@pytest.mark.parametrize(
    ("pattern", "host", "named"),
    [
        ("*.shop.test", "mx.shop.test", True),
        ("*.shop.test", "a.mx.shop.test", False),
        ("*.shop.test", "shop.test", False),
        ("MX.shop.test", "mx.shop.test.", True),
    ],
)
def test_a_star_stands_for_one_label(pattern: str, host: str, named: bool) -> None:
    assert mta_sts.matches(pattern, host) is named


def rendered(options: DnsOptions) -> dict[str, dns.Record]:
    wish = dns.Wish(
        address="203.0.113.9",
        hostname="mail.shop.test",
        domain="shop.test",
        dkim_record="v=DKIM1; p=AAAA",
        options=checked(options),
    )
    return {record.key: record for record in dns.render(wish, dns.Existing(mx=["5 mx.shop.test"]))}


def test_optional_records_are_rendered_and_not_required() -> None:
    records = rendered(
        DnsOptions(
            mta_sts=MtaSts(),
            tls_rpt=["tls@shop.test", "https://reports.test/in"],
            bimi=Bimi(logo="https://shop.test/logo.svg"),
        )
    )
    assert [key for key, record in records.items() if not record.required] == ["mta_sts", "tls_rpt", "bimi"]
    policy = mta_sts.Policy(mode=mta_sts.Mode.TESTING, mx=["mx.shop.test"])
    assert records["mta_sts"].expected == [f"v=STSv1; id={policy.id()}"]
    assert records["tls_rpt"].expected == ["v=TLSRPTv1; rua=mailto:tls@shop.test,https://reports.test/in"]
    assert records["tls_rpt"].name == "_smtp._tls.shop.test"
    assert records["bimi"].expected == ["v=BIMI1; l=https://shop.test/logo.svg;"]


@pytest.mark.parametrize(
    ("options", "field", "said"),
    [
        (DnsOptions(mta_sts=MtaSts(mx=["*.*.test"])), "dns.mta_sts.mx", "no host name"),
        (DnsOptions(mta_sts=MtaSts(mx=[])), "dns.mta_sts.mx", "at least one line"),
        (DnsOptions(tls_rpt=["ftp://x.test"]), "dns.tls_rpt", "mail address"),
        (DnsOptions(bimi=Bimi(logo="http://x.test/a.svg")), "dns.bimi.logo", "https"),
        (DnsOptions(mx=["x y z"]), "dns.mx", "no mail exchanger"),
    ],
)
def test_what_cannot_be_published_is_refused_by_its_field(options: DnsOptions, field: str, said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        checked(options, "dns")
    assert refused.value.field == field


def test_a_policy_that_would_stop_the_domains_own_mail_is_refused() -> None:
    with pytest.raises(Refused, match=r"leaves out mx\.shop\.test"):
        rendered(DnsOptions(mta_sts=MtaSts(mode=mta_sts.Mode.ENFORCE, mx=["other.test"])))
    assert rendered(DnsOptions(mta_sts=MtaSts(mode=mta_sts.Mode.TESTING, mx=["other.test"])))


def test_the_hosted_policy_is_compared_and_never_blocks() -> None:
    mx = ["10 mail.shop.test"]
    assert sts_check("shop.test", POLICY, POLICY, mx).ok
    other = sts_check("shop.test", POLICY, POLICY.model_copy(update={"mode": mta_sts.Mode.TESTING}), mx)
    none = sts_check("shop.test", POLICY, None, mx, "mta-sts.shop.test has no address")
    left = sts_check("shop.test", POLICY, POLICY, [*mx, "20 mx2.shop.test"])
    for check, said in ((other, "mode testing"), (none, "no address"), (left, "leaves out the MX mx2")):
        assert (check.ok, check.blocking, bool(check.fix)) == (False, False, True)
        assert said in check.detail
    assert not bimi_check(["v=DMARC1; p=none"]).ok
    assert bimi_check(["v=DMARC1; p=reject"]).ok
