"""SPF is merged, never doubled, and never past the limits of RFC 7208."""

from __future__ import annotations

import pytest

from domain import spf
from domain.refusals import Refused

IP = "203.0.113.9"


@pytest.mark.parametrize(
    ("existing", "merged"),
    [
        ([], "v=spf1 ip4:203.0.113.9 ~all"),
        (["other=1"], "v=spf1 ip4:203.0.113.9 ~all"),
        (["v=spf1 include:_spf.x.test -all"], "v=spf1 ip4:203.0.113.9 include:_spf.x.test -all"),
        (["v=spf1 ip4:203.0.113.0/24 -all"], "v=spf1 ip4:203.0.113.0/24 -all"),
        (["v=spf1 mx -all", "v=spf1 a mx ~all"], "v=spf1 ip4:203.0.113.9 mx a -all"),
        (["v=spf1 redirect=x.test"], "v=spf1 ip4:203.0.113.9 redirect=x.test"),
    ],
)
def test_merge(existing: list[str], merged: str) -> None:
    assert spf.merge(existing, IP) == merged


@pytest.mark.parametrize(
    ("record", "is_open"),
    [
        ("v=spf1 +all", True),
        ("v=spf1 mx ALL", True),
        ("v=spf1 mx ~all", False),
        ("v=spf1 include:all.test -all", False),
    ],
)
def test_a_record_that_lets_everybody_send(record: str, is_open: bool) -> None:
    assert spf.is_open(record) is is_open


async def evaluate(zone: dict[tuple[str, str], list[str]], address: str = IP) -> spf.SpfResult:
    async def fetch(name: str, rdtype: str) -> list[str] | None:
        return zone.get((name, rdtype), [])

    return await spf.evaluate("d.test", address, fetch)


async def test_include_and_a_are_followed() -> None:
    zone = {
        ("d.test", "TXT"): ["v=spf1 include:i.test -all"],
        ("i.test", "TXT"): ["v=spf1 a:h.test/24 -all"],
        ("h.test", "A"): ["203.0.113.1"],
    }
    assert await evaluate(zone) == spf.SpfResult(result="pass", lookups=2)
    assert (await evaluate(zone, "198.51.100.1")).result == "fail"


async def test_the_eleventh_lookup_is_a_permanent_error() -> None:
    zone = {("d.test", "TXT"): ["v=spf1 " + " ".join(f"include:{i}.test" for i in range(11)) + " -all"]}
    zone |= {(f"{i}.test", "TXT"): ["v=spf1 -all"] for i in range(11)}
    result = await evaluate(zone)
    assert (result.result, result.lookups) == ("permerror", 11)
    with pytest.raises(Refused, match="receivers stop at 10"):
        spf.check_limits(result, "d.test")


async def test_the_third_void_lookup_is_a_permanent_error() -> None:
    result = await evaluate({("d.test", "TXT"): ["v=spf1 a:x.test a:y.test a:z.test -all"]})
    assert (result.result, result.void) == ("permerror", 3)


async def test_two_records_are_a_permanent_error() -> None:
    assert (await evaluate({("d.test", "TXT"): ["v=spf1 -all", "v=spf1 -all"]})).result == "permerror"
