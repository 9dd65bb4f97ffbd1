"""FCrDNS: pass, fail, no PTR (permanent) and a DNS failure (temporary) are four things."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest

from domain import fcrdns
from domain.dns_checks import fcrdns_check
from tests.corpora import collected

#: Zones, and what a receiver concludes: address, verdict, the name that led back.
OWN: dict[str, Any] = {
    "ptr": {
        "198.51.100.1": ["one.test"],
        "198.51.100.2": ["elsewhere.test", "two.test"],
        "198.51.100.3": ["elsewhere.test"],
        "198.51.100.5": ["silent.test"],
        "198.51.100.6": ["silent.test", "six.test"],
        "2001:db8::1": ["one6.test"],
        "2001:db8::2": ["one.test"],
    },
    "a": {"one.test": ["203.0.113.7", "198.51.100.1"], "two.test": ["198.51.100.2"], "six.test": ["198.51.100.6"],
          "elsewhere.test": ["203.0.113.8"]},
    "aaaa": {"one6.test": ["2001:0db8::0001"]},
    "servfail": ["ptr 198.51.100.4", "ip silent.test"],
    "cases": [
        ["198.51.100.1", "pass", "one.test"],
        ["198.51.100.2", "pass", "two.test"],
        ["198.51.100.3", "fail", ""],
        ["198.51.100.4", "temperror", ""],
        ["198.51.100.5", "temperror", ""],
        ["198.51.100.6", "pass", "six.test"],
        ["198.51.100.7", "permerror", ""],
        ["2001:db8::1", "pass", "one6.test"],
        ["2001:db8::2", "fail", ""],
    ],
}  # fmt: skip


@pytest.mark.parametrize("source", [None, *collected("dns/fcrdns_cases_mox.json")], ids=lambda one: one and one.stem)
async def test_what_a_receiver_concludes(source: Path | None) -> None:
    data = json.loads(source.read_text()) if source else OWN
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
        ([], {}, False, "permerror: 203.0.113.9 has no PTR", "in the reverse zone where that is your own"),
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
