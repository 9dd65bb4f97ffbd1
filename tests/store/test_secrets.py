"""Secrets at rest: by reference, useless when moved."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from activities.context import Context
from domain.refusals import NotFound
from store.keys import Keyring, new_key
from store.secrets import Secrets, forget_login
from store.tables.accounts import Secret
from store.tables.ips import Ip
from store.tables.purchase import Order


async def test_a_secret_comes_back_by_its_reference_and_is_not_stored_in_clear(context: Context) -> None:
    ref = await context.secrets.put("smtp", "correct horse")
    async with context.db.read() as session:
        row = await session.get(Secret, ref)
    assert row is not None
    assert b"correct horse" not in row.ciphertext
    assert await context.secrets.get(ref) == "correct horse"


async def test_an_older_key_still_opens_what_it_sealed(context: Context) -> None:
    first, second = new_key("a"), new_key("b")
    ref = await Secrets(context.db, Keyring.parse([first])).put("smtp", "kept")
    assert await Secrets(context.db, Keyring.parse([second, first])).get(ref) == "kept"
    with pytest.raises(ValueError, match="no secret key 'a'"):
        await Secrets(context.db, Keyring.parse([second])).get(ref)


async def test_a_ciphertext_moved_to_another_row_does_not_open(context: Context) -> None:
    one, other = await context.secrets.put("smtp", "one"), await context.secrets.put("smtp", "other")
    async with context.db.write() as session:
        source, target = await session.get(Secret, one), await session.get(Secret, other)
        assert source is not None
        assert target is not None
        target.ciphertext = source.ciphertext
        session.add(target)
    with pytest.raises(ValueError, match="does not decrypt"):
        await context.secrets.get(other)


async def test_a_login_is_kept_as_long_as_an_ip_in_service_or_an_open_order_goes_by_it(context: Context) -> None:
    ref = await context.secrets.put("smtp", "correct horse")
    order = Order(id="o", vendor="v", region="r", domain="d.test", hostname="m.d.test", smtp_secret=ref)
    async with context.db.write() as session:
        session.add(order)
        session.add(Ip(address="203.0.113.9", smtp_secret=ref))
    for status, stage in (("quoted", "active"), ("purchased", "active"), ("quoted", "retired")):
        await forgetting(context, ref, status, stage)
        assert await context.secrets.get(ref) == "correct horse"
    await forgetting(context, ref, "purchased", "retired")
    with pytest.raises(NotFound):
        await context.secrets.get(ref)


async def forgetting(context: Context, ref: str, status: str, stage: str) -> None:
    async with context.db.write() as session:
        await session.exec(sa.update(Order).values(status=status))
        await session.exec(sa.update(Ip).values(stage=stage))
        await forget_login(session, ref)


async def test_an_unknown_reference_is_not_found(context: Context) -> None:
    with pytest.raises(NotFound):
        await context.secrets.get("sec_none")


def test_a_digest_tells_the_same_and_says_nothing_without_its_key() -> None:
    first, second = new_key("a"), new_key("b")
    ring = Keyring.parse([first])
    digest = ring.digest(b"password")
    assert ring.is_digest(digest, b"password")
    assert not ring.is_digest(digest, b"Password")
    assert Keyring.parse([second, first]).is_digest(digest, b"password"), "keys rotate"
    assert not Keyring.parse([second, first]).is_digest(digest, b"Password")
    assert Keyring.parse([new_key("a")]).digest(b"password") != digest
    assert Keyring.parse([second]).is_digest(digest, b"Password"), "without the key nobody can tell"


@pytest.mark.parametrize("line", ["", "k1", "k1:", "k1:!!!", "k1:c2hvcnQ=", ":" + "A" * 44])
def test_a_malformed_key_is_refused_without_showing_it(line: str) -> None:
    with pytest.raises(ValueError, match="WARMPATH_SECRET_KEYS") as refusal:
        Keyring.parse([line])
    assert "c2hvcnQ" not in str(refusal.value)
