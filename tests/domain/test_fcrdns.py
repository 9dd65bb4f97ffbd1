"""FCrDNS: pass, fail, no PTR (permanent) and a DNS failure (temporary) are four things."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest

from domain import fcrdns
from domain.dns_checks import fcrdns_check

CASES = Path(__file__).parents[3] / "shared/corpora/dns/fcrdns_cases_mox.json"


async def test_cases_of_the_corpus() -> None:
    if not CASES.exists():
        pytest.skip(f"needs {CASES.name} of the corpora")
    data = json.loads(CASES.read_text())
    reverse = {ipaddress.ip_address(case[0]).reverse_pointer: case[0] for case in data["cases"]}

    async def fetch(name: str, rdtype: str) -> list[str] | None:
        asked = f"ptr {reverse[name]}" if rdtype == "PTR" else f"ip {name}"
        if asked in data["servfail"]:
            return None
        found: list[str] = data["ptr"].get(reverse[name], []) if rdtype == "PTR" else data[rdtype.lower()].get(name, [])
        return found

    for address, verdict, name in data["cases"]:
        result = await fcrdns.evaluate(address, fetch)
        assert (result.result, result.name) == (verdict.split()[0], name), address


async def evaluate(ptr: list[str] | None, forward: dict[str, list[str] | None]) -> fcrdns.Fcrdns:
    async def fetch(name: str, rdtype: str) -> list[str] | None:
        return ptr if rdtype == "PTR" else forward.get(name, [])

    return await fcrdns.evaluate("203.0.113.9", fetch)


@pytest.mark.parametrize(
    ("ptr", "forward", "ok", "detail", "fix"),
    [
        (["h.test"], {"h.test": ["203.0.113.9"]}, True, "203.0.113.9 -> h.test", ""),
        ([], {}, False, "permerror: 203.0.113.9 has no PTR", "Ask the IP's vendor"),
        (None, {}, False, "temperror: DNS failed", "may pass"),
        (["h.test"], {"h.test": None}, False, "temperror: DNS failed for h.test", "may pass"),
        (["h.test"], {"h.test": ["203.0.113.8"]}, False, "h.test -> 203.0.113.8", "have the IP as its address"),
        (["o.test"], {"o.test": ["203.0.113.9"]}, False, "HELO is h.test", "exactly one PTR"),
        (["h.test", "o.test"], {"h.test": ["203.0.113.9"]}, False, "h.test, o.test", "exactly one PTR"),
    ],
)
async def test_each_verdict_has_its_words_and_fix(
    ptr: list[str] | None, forward: dict[str, list[str] | None], ok: bool, detail: str, fix: str
) -> None:
    check = fcrdns_check("h.test", await evaluate(ptr, forward))
    assert check.ok is ok
    assert detail in check.detail
    assert fix in check.fix
