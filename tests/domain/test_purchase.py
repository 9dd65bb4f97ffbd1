"""What an order may ask for, what it costs, and what vetting says."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.purchase import (
    Evidence,
    ListAnswer,
    Neighbours,
    Prices,
    PtrFound,
    Verdict,
    quote,
    sample,
    too_few,
    vet,
)

#: The defaults of the settings (operator's IP guide).
PRICES = Prices(monthly_price=Decimal("8.00"), fee_share=Decimal("0.029"), fee_fixed=Decimal("0.30"))


@pytest.mark.parametrize(
    ("count", "cost", "total", "monthly_cost", "fee"),
    [
        (1, "6.00", "8.00", "6.00", "0.53"),
        (2, "6.00", "16.00", "12.00", "0.76"),
        (10, "3.65", "80.00", "36.50", "2.62"),
        (1, "0.00", "8.00", "0.00", "0.53"),
    ],
)
def test_a_quote(count: int, cost: str, total: str, monthly_cost: str, fee: str) -> None:
    made = quote(count, Decimal(cost), PRICES)
    assert (made.total.amount, made.monthly_cost.amount, made.payment_fee.amount) == (total, monthly_cost, fee)
    assert made.tax == "excluded"


def test_another_price_list_is_another_quote() -> None:
    dear = Prices(monthly_price=Decimal("20"), fee_share=Decimal("0"), fee_fixed=Decimal("1"))
    made = quote(3, Decimal("6"), dear)
    assert (made.total.amount, made.payment_fee.amount) == ("60.00", "1.00")


@pytest.mark.parametrize(
    ("address", "size", "around"),
    [
        ("203.0.113.9", 4, ["203.0.113.10", "203.0.113.8", "203.0.113.11", "203.0.113.7"]),
        ("203.0.113.1", 3, ["203.0.113.2", "203.0.113.3", "203.0.113.4"]),
        ("203.0.113.254", 2, ["203.0.113.253", "203.0.113.252"]),
        ("203.0.113.9", 0, []),
        ("2001:db8::1", 2, ["2001:db8::2", "2001:db8::3"]),
    ],
)
def test_the_sample_is_the_nearest_of_the_same_network(address: str, size: int, around: list[str]) -> None:
    assert sample(address, size) == around


def _said(state: str, *, against: bool = False) -> ListAnswer:
    return ListAnswer(zone="bl.test", state=state, reason="SBL", against=against)


@pytest.mark.parametrize(
    ("listings", "listed", "ptr", "verdict", "said"),
    [
        ([_said("clean")], 0, PtrFound.NONE, Verdict.RECOMMENDED, ["on no list that acts; none of 4 neighbours"]),
        ([_said("listed", against=True)], 0, PtrFound.NONE, Verdict.REFUSED, ["listed on bl.test: SBL"]),
        # A list that only shows a neighbourhood is shown and refuses nothing.
        ([_said("listed")], 0, PtrFound.NONE, Verdict.RECOMMENDED, ["on no list that acts"]),
        # A PBL entry is no listing, but mail could not go out.
        ([_said("not_a_listing", against=True)], 0, PtrFound.NONE, Verdict.REFUSED, ["listed on bl.test"]),
        ([_said("unknown")], 0, PtrFound.NONE, Verdict.RECOMMENDED, ["no answer from bl.test, so unknown there"]),
        ([_said("clean")], 1, PtrFound.NONE, Verdict.RECOMMENDED, ["1 of 4 neighbours asked in 203.0.113.0/24"]),
        ([_said("clean")], 2, PtrFound.NONE, Verdict.REFUSED, ["2 of 4 neighbours asked in 203.0.113.0/24"]),
        ([_said("clean")], 0, PtrFound.FOUND, Verdict.RECOMMENDED, ["its PTR still says old.test"]),
        ([_said("clean")], 0, PtrFound.UNKNOWN, Verdict.RECOMMENDED, ["its PTR could not be read now"]),
    ],
)
def test_vetting(listings: list[ListAnswer], listed: int, ptr: PtrFound, verdict: Verdict, said: list[str]) -> None:
    around = [f"203.0.113.{n}" for n in range(1, 5)]
    evidence = Evidence(
        listings=listings,
        neighbours=Neighbours(network="203.0.113.0/24", asked=around, listed=around[:listed]),
        ptr="old.test" if ptr is PtrFound.FOUND else None,
        ptr_state=ptr,
    )
    found, reasons = vet(evidence, tolerated=1)
    assert found is verdict
    for words in said:
        assert any(words in reason for reason in reasons), reasons
    assert vet(evidence, tolerated=4)[0] is (Verdict.REFUSED if listings[0].against else Verdict.RECOMMENDED)


@pytest.mark.parametrize(
    ("good", "free", "said"),
    [(0, 0, "Only 0 of 1 addresses on offer are free"), (0, 3, "Only 0 of 1 addresses on offer passed vetting.")],
)
def test_who_waits_hears_whether_addresses_are_taken_or_poor(good: int, free: int, said: str) -> None:
    assert too_few(good, free, 1).startswith(said)


def test_who_waits_hears_what_was_offered_again() -> None:
    said = "Only 1 of 4 addresses on offer passed vetting. The vendor offers 198.51.100.1 and 2 more again, refused"
    assert too_few(1, 4, 4, again={"198.51.100.3", "198.51.100.1", "198.51.100.2"}).startswith(said)
