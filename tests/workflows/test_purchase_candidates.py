"""Which addresses an order is offered, and which it gets."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection
from decimal import Decimal

import httpx
import pytest
from temporalio.client import WorkflowUpdateFailedError

from domain.lifecycle import Disposal
from domain.words import OrderStatus, Stage
from providers.ip_vendors.port import Offer
from store import ips
from store import purchase as orders
from store.tables.ips import Ip
from tests.workflows.shop import LISTED, Shop


@pytest.fixture
def same_offers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders quoted in the same moment do not see each other, and are offered the same addresses."""

    async def nothing(session: object, order_id: str) -> set[str]:
        return set()

    monkeypatch.setattr(orders, "quoted_elsewhere", nothing)


async def test_an_address_that_was_not_recommended_cannot_be_bought(shop: Shop) -> None:
    order = await shop.quoted()
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await shop.buy(order, "tok_visa", LISTED)
    assert f"{LISTED} is no recommended candidate" in str(refused.value.cause)
    assert (await shop.row(order)).status == OrderStatus.QUOTED


async def test_orders_one_after_the_other_are_offered_different_addresses(shop: Shop) -> None:
    first, second = [(await shop.row(await shop.quoted())).candidates for _ in range(2)]
    assert len(first) == len(second) == 5
    assert not {one["address"] for one in first} & {one["address"] for one in second}


async def test_an_address_in_service_or_held_is_not_offered(shop: Shop) -> None:
    in_service, held, gone = "198.51.100.60", "198.51.100.62", "198.51.100.63"
    async with shop.context.db.write() as session:
        await ips.insert(session, Ip(address=in_service, vendor="inventory", stage=Stage.ACTIVE))
        await ips.insert(session, Ip(address=gone, vendor="sandbox", disposal=Disposal.RELEASED))
        await orders.reserve(session, shop.context.db.dialect, held, "another")
    offered = {one["address"] for one in (await shop.row(await shop.quoted(count=2))).candidates}
    assert not offered & {in_service, held}
    assert gone in offered, "what went back to its vendor may be sold again"


async def test_two_orders_for_the_same_address_end_with_one_owner(shop: Shop, same_offers: None) -> None:
    first, second = await shop.quoted(), await shop.quoted()
    wanted = "198.51.100.62"
    ends = await asyncio.gather(shop.buy(first, "tok_visa", wanted), shop.buy(second, "tok_visa", wanted))
    assert sorted(end.status for end in ends) == [OrderStatus.FAILED, OrderStatus.PURCHASED]
    async with shop.context.db.read() as session:
        assert (await session.get(Ip, wanted)) is not None
    assert sorted(await shop.payments(first) + await shop.payments(second)) == ["captured"]


async def test_a_default_candidate_that_was_just_taken_is_replaced(shop: Shop, same_offers: None) -> None:
    first, second = await shop.quoted(), await shop.quoted()
    ends = await asyncio.gather(shop.buy(first), shop.buy(second))
    assert [end.status for end in ends] == [OrderStatus.PURCHASED] * 2
    bought = [address for end in ends for address in end.addresses]
    assert len(set(bought)) == 2
    assert sorted((await shop.bought())["bought"]) == sorted(bought)
    for order, end in zip((first, second), ends, strict=True):
        assert (await shop.row(order)).ips == end.addresses
        async with shop.context.db.read() as session:
            assert [one.address for one in await orders.held_by(session, order)] == end.addresses


async def test_an_address_that_the_vendor_sold_to_somebody_else_is_replaced(shop: Shop) -> None:
    order = await shop.quoted(count=2)
    default = [one["address"] for one in (await shop.row(order)).candidates if one["verdict"] == "recommended"]
    async with httpx.AsyncClient(base_url=shop.vendor_url) as other:
        await other.post(f"/v1/addresses/{default[0]}/reserve", json={"order": "somebody else"})
    shop.effects.crash = {"reserve"}
    result = await shop.buy(order)
    assert result.addresses == default[1:3]
    async with shop.context.db.read() as session:
        held = [one.address for one in await orders.held_by(session, order)]
    assert sorted(held) == sorted(result.addresses), "the hold on the address that was taken has ended"


async def test_a_listed_candidate_is_refused_with_its_reason(shop: Shop) -> None:
    order = await shop.quoted(count=4)
    listed = [one for one in (await shop.row(order)).candidates if one["address"] == LISTED]
    assert listed[0]["verdict"] == "refused"
    assert "zen.spamhaus.org" in listed[0]["reasons"][0]


async def test_every_candidate_shows_what_each_list_said_and_its_sample_of_neighbours(shop: Shop) -> None:
    shop.effects._vetter.lists.listed |= {"198.51.100.62", "198.51.100.63"}
    row = await shop.row(await shop.quoted())
    shown = {one["address"]: one for one in row.candidates}
    assert {one["zone"]: one["state"] for one in shown["198.51.100.60"]["listings"]} == {
        "zen.spamhaus.org": "clean",
        "psbl.surriel.com": "unknown",
    }
    around = shown["198.51.100.60"]["neighbours"]
    assert (around["network"], len(around["asked"])) == ("198.51.100.0/24", 4)
    assert shown["198.51.100.60"]["verdict"] == "recommended"
    assert shown["198.51.100.60"]["reasons"][0] == "no answer from psbl.surriel.com, so unknown there"
    # .61 has two listed neighbours in its sample, one more than bad luck explains.
    assert shown["198.51.100.61"]["verdict"] == "refused"
    assert "2 of 4 neighbours asked in 198.51.100.0/24 are listed" in shown["198.51.100.61"]["reasons"][0]
    assert shown["198.51.100.61"]["ptr"] == "dsl-61.pool.customer.test"
    assert shown["198.51.100.60"]["ptr_state"] == "none"


async def test_a_default_candidate_listed_since_the_quote_is_replaced(shop: Shop) -> None:
    order = await shop.quoted(count=2)
    good = [one["address"] for one in (await shop.row(order)).candidates if one["verdict"] == "recommended"]
    shop.effects._vetter.lists.listed.add(good[0])
    shop.effects.crash = {"vet"}
    result = await shop.buy(order)
    assert result.status is OrderStatus.PURCHASED
    assert good[0] not in result.addresses
    assert sorted((await shop.bought())["bought"]) == sorted(result.addresses)
    assert sorted((await shop.bought())["orders"]) == sorted(result.addresses), "the listed one was given back"
    async with shop.context.db.read() as session:
        assert sorted(one.address for one in await orders.held_by(session, order)) == sorted(result.addresses)
    assert await shop.payments(order) == ["captured"]


async def test_a_candidate_chosen_by_name_is_not_replaced(shop: Shop) -> None:
    order = await shop.quoted()
    shop.effects._vetter.lists.listed.add("198.51.100.62")
    result = await shop.buy(order, "tok_visa", "198.51.100.62")
    assert result.status is OrderStatus.FAILED
    assert "198.51.100.62 failed the second vetting: listed on zen.spamhaus.org" in result.reason
    assert "chosen by name" in result.reason
    assert await shop.payments(order) == []
    assert (await shop.bought()) == {"orders": {}, "bought": {}}


async def test_a_vendor_that_holds_its_offer_is_told_what_was_refused_and_who_waits_hears_what_comes_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor, told = shop.effects._vendors["sandbox"], list[set[str]]()
    shown = iter([LISTED, LISTED, "198.51.100.62"])

    async def offer(kind: str, region: str, count: int, order: str, refused: Collection[str] = ()) -> list[Offer]:
        told.append(set(refused))
        return [Offer(next(shown), "eu", Decimal(6))]

    monkeypatch.setattr(vendor, "offer", offer)
    quick = shop.context.settings.model_copy(update={"waitlist_look_seconds": 0.5})
    shop.effects._context = dataclasses.replace(shop.context, settings=quick)
    order = await shop.order()
    row = await shop.until(order, lambda it: "again" in it.reason)
    assert row.reason == (
        "Only 0 of 1 addresses on offer passed vetting. The vendor offers "
        f"{LISTED} again, refused at the last look, too."
    )
    row = await shop.until(order, lambda it: it.status == OrderStatus.QUOTED)
    assert [one["address"] for one in row.candidates] == ["198.51.100.62"]
    assert told == [set(), {LISTED}, {LISTED}]
