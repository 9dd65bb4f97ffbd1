"""What receivers check of a sending IP beyond the presence of records, in words."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from domain import dkim, mta_sts, spf
from domain.dns import Check, dmarc_problem
from domain.dns_findings import REVERSE
from domain.fcrdns import Fcrdns


def fcrdns_check(host: str, found: Fcrdns) -> Check:
    """PTR and address agree, and the one PTR is the HELO name."""
    if found.result == "pass" and found.names == [host]:
        return Check(name="fcrdns", ok=True, detail=found.detail)
    fixes = {
        "temperror": "DNS failed, which may pass: look again, and at the name servers of the reverse zone if it stays.",
        "permerror": f"Have the PTR set to {host}: {REVERSE}.",
        "fail": f"Let the PTR be {host}, and {host} have the IP as its address.",
        "pass": f"Have exactly one PTR, {host}, the name used as HELO.",
    }
    detail = found.detail if found.result != "pass" else f"PTR is {', '.join(found.names)}; HELO is {host}"
    return Check(name="fcrdns", ok=False, detail=f"{found.result}: {detail}", fix=fixes[found.result])


def helo_check(address: str, host: str, found: Sequence[str] | None) -> Check:
    """The HELO name leads to the IP."""
    if found is None:
        return Check(name="helo", ok=False, detail=f"DNS failed for {host}", fix="It may pass: look again.")
    ok = any(ipaddress.ip_address(value) == ipaddress.ip_address(address) for value in found)
    fix = "" if ok else f"Let {host} have the address {address}."
    return Check(name="helo", ok=ok, detail=f"{host} -> {', '.join(found) or 'nothing'}", fix=fix)


def spf_check(address: str, domain: str, found: spf.SpfResult) -> Check:
    """SPF passes for the IP within the limits of RFC 7208."""
    said = f"{found.result}, {found.lookups} look-ups, {found.void} void"
    detail = f"{said}; {found.detail}" if found.detail else said
    fixes = {
        "pass": "",
        "temperror": "DNS failed, which may pass: look again.",
        "permerror": f"Correct the SPF record of {domain}: {found.detail}",
    }
    fix = fixes.get(found.result, f"Put {spf.mechanism(address)} into the SPF record of {domain}, before its `all`.")
    return Check(name="spf", ok=found.result == "pass", detail=detail, fix=fix, shared=True)


def dkim_check(expected: str, found: Sequence[str]) -> Check:
    """The published key is the one that mail is signed with."""
    if any(dkim.same_key(expected, text) for text in found):
        return Check(name="dkim", ok=True, detail="The published key is ours.", shared=True)
    return Check(name="dkim", ok=False, detail="Another key is published.", fix=f"Publish {expected}", shared=True)


def dmarc_check(found: Sequence[str]) -> Check:
    """A DMARC policy is there and can be read."""
    policy = _dmarc(found)
    bad = dmarc_problem(policy)
    fix = f"Correct the DMARC record: {bad}." if bad else ""
    detail = f"{policy or 'none'}: {bad}" if bad else policy
    return Check(name="dmarc", ok=bad is None, detail=detail, fix=fix, shared=True)


def bimi_check(dmarc: Sequence[str]) -> Check:
    """Mailbox providers show a logo only under a DMARC policy that acts."""
    policy = dkim.tags(_dmarc(dmarc)).get("p", "none").lower()
    ok = policy in ("quarantine", "reject")
    fix = "" if ok else "Publish DMARC with p=quarantine or p=reject; until then no logo is shown."
    return Check(name="bimi", ok=ok, detail=f"the DMARC policy is p={policy}", fix=fix, blocking=False, shared=True)


def sts_check(
    domain: str, wanted: mta_sts.Policy, hosted: mta_sts.Policy | None, mx: Sequence[str], problem: str = ""
) -> Check:
    """The policy that senders find is the one that the record announces.

    Args:
        hosted: None where it could not be had; ``problem`` says why.
        mx: values of the domain's MX record.
    """
    where = mta_sts.url(domain)

    def said(detail: str, fix: str) -> Check:
        return Check(name="mta_sts", ok=not fix, detail=f"{where}: {detail}", fix=fix, blocking=False, shared=True)

    if hosted is None:
        return said(problem, f"Host the policy text at {where}, with a certificate for {mta_sts.host(domain)}.")
    left_out = mta_sts.uncovered(hosted, [value.split()[-1] for value in mx])
    if left_out:
        return said(f"leaves out the MX {', '.join(left_out)}", "Replace the hosted policy by the text shown here.")
    if (hosted.mode, hosted.max_age, sorted(hosted.mx)) != (wanted.mode, wanted.max_age, sorted(wanted.mx)):
        return said(
            f"is mode {hosted.mode}, max_age {hosted.max_age}, mx {', '.join(hosted.mx)}",
            "Replace the hosted policy by the text shown here, or change the options to what is hosted.",
        )
    return said(f"mode {hosted.mode}, max_age {hosted.max_age}", "")


def _dmarc(found: Sequence[str]) -> str:
    return next((text for text in found if text.replace(" ", "").lower().startswith("v=dmarc1")), "")
