"""Orders in the store, on SQLite and PostgreSQL."""

from __future__ import annotations

from store import purchase as orders
from store.database import Database
from store.tables.purchase import Order


def order(name: str, key: str | None) -> Order:
    """An order as the API makes it."""
    return Order(id=name, idempotency_key=key, vendor="v", region="r", domain="d.test", hostname="m.d.test")


async def test_the_first_request_of_a_key_makes_the_order_and_the_next_one_finds_it(db: Database) -> None:
    async with db.write() as session:
        first, made = await orders.create(session, db.dialect, order("one", "key"))
    async with db.write() as session:
        second, made_again = await orders.create(session, db.dialect, order("two", "key"))
    assert (first.id, made, second.id, made_again) == ("one", True, "one", False)


async def test_without_a_key_each_request_makes_an_order(db: Database) -> None:
    async with db.write() as session:
        made = [(await orders.create(session, db.dialect, order(name, None)))[1] for name in ("one", "two")]
    assert made == [True, True]
