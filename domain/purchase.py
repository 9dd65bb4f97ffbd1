"""Buying IPs: what may be ordered, what it costs, which candidates are good, and the messages of an order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, Field, SecretStr

from domain.refusals import Refused
from domain.words import IpType, OrderStatus

CURRENCY = "USD"
#: Sold at 8.00 a month, costs 6.00, payment fee 2.9 % + 0.30 (operator's IP guide; POLICY, Capacity).
MONTHLY_PRICE = Decimal("8.00")
FEE_SHARE, FEE_FIXED = Decimal("0.029"), Decimal("0.30")
#: Listed neighbours of a sample that make a range suspicious; one may be bad luck.
NEIGHBOURS_TOLERATED = 1
MOST_AT_ONCE = 50

ENDED = (OrderStatus.PURCHASED, OrderStatus.FAILED, OrderStatus.CANCELLED, OrderStatus.EXPIRED)
_HOST = re.compile(r"^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$")


class Money(BaseModel):
    """An amount in units of the currency, two decimals, as text."""

    amount: str
    currency: str = CURRENCY

    @classmethod
    def of(cls, amount: Decimal) -> Money:
        """Rounded to cents."""
        return cls(amount=f"{amount:.2f}")


class SmtpInput(BaseModel):
    """The credentials of the mail system behind an IP; the password is never part of an answer."""

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(587, ge=1, le=65535)
    username: str = Field(min_length=1, max_length=320)
    password: SecretStr
    starttls: bool = True


class OrderInput(BaseModel):
    """What an operator orders."""

    type: IpType = IpType.DEDICATED
    vendor: str = Field(max_length=40)
    region: str = Field("", max_length=60)
    count: int = Field(1, ge=1, le=MOST_AT_ONCE)
    pool: str = Field("default", min_length=1, max_length=60)
    domain: str = Field(max_length=253)
    hostname: str = Field(max_length=253)
    mx: str | None = Field(None, max_length=253)
    sender: str | None = Field(None, max_length=120)
    smtp: SmtpInput | None = None


def check_order(order: OrderInput, vendors: Sequence[str], regions: Sequence[str]) -> OrderInput:
    """The order with names in lower case.

    Raises:
        Refused: names the field and the fix.
    """
    if order.vendor not in vendors:
        raise Refused(
            f"There is no vendor {order.vendor!r}; choose from {', '.join(vendors)}.",
            field="vendor",
            code="vendor",
        )
    region = order.region or (regions[0] if regions else "")
    if region not in regions:
        raise Refused(
            f"{order.vendor} sells nothing in {region!r}; choose from {', '.join(regions)}.",
            field="region",
            code="region",
        )
    domain, hostname = (name.strip().rstrip(".").lower() for name in (order.domain, order.hostname))
    for field, name in (("domain", domain), ("hostname", hostname)):
        if not _HOST.match(name):
            raise Refused(
                f"{name!r} is no domain name; give one such as mail.example.com.", field=field, code="name"
            )
    return order.model_copy(update={"region": region, "domain": domain, "hostname": hostname})


def hostname_for(hostname: str, index: int) -> str:
    """The name of the nth IP of an order: each needs its own, since PTR and HELO are one to one."""
    if index == 0:
        return hostname
    first, _, rest = hostname.partition(".")
    return f"{first}-{index + 1}.{rest}"


class Verdict(StrEnum):
    """What vetting says of a candidate."""

    RECOMMENDED = "recommended"
    REFUSED = "refused"


class Candidate(BaseModel):
    """An address on offer, vetted. ``price`` is ours a month without tax, ``cost`` the vendor's."""

    address: str
    price: Money
    cost: Money
    verdict: Verdict
    reasons: list[str] = []
    ptr: str | None = None


class Evidence(BaseModel):
    """What was found about a candidate; ``unknown`` names lists that gave no true answer."""

    listed: list[str] = []
    unknown: list[str] = []
    neighbours_listed: list[str] = []
    ptr: str | None = None


def vet(evidence: Evidence) -> tuple[Verdict, list[str]]:
    """The verdict and why. Unknown is shown but is no reason to refuse; a listing is."""
    against: list[str] = [f"listed on {zone}" for zone in evidence.listed]
    if len(evidence.neighbours_listed) > NEIGHBOURS_TOLERATED:
        against.append(f"neighbours are listed: {', '.join(evidence.neighbours_listed)}")
    notes = [f"no answer from {zone}, so unknown there" for zone in evidence.unknown]
    if 0 < len(evidence.neighbours_listed) <= NEIGHBOURS_TOLERATED:
        notes.append(f"one listed neighbour: {evidence.neighbours_listed[0]}")
    if evidence.ptr:
        notes.append(f"its PTR still says {evidence.ptr}; DNS set-up replaces it")
    if against:
        return Verdict.REFUSED, against + notes
    return Verdict.RECOMMENDED, notes or ["on no list, clean neighbours, no PTR of somebody else"]


class Quote(BaseModel):
    """What is charged now (the first month, without tax), and what it costs us."""

    total: Money
    monthly_price: Money
    monthly_cost: Money
    payment_fee: Money
    tax: str = "excluded"


def quote(count: int, monthly_cost: Decimal) -> Quote:
    """The price of ``count`` IPs whose vendor charges ``monthly_cost`` each."""
    total = MONTHLY_PRICE * count
    return Quote(
        total=Money.of(total),
        monthly_price=Money.of(MONTHLY_PRICE * count),
        monthly_cost=Money.of(monthly_cost * count),
        payment_fee=Money.of(total * FEE_SHARE + FEE_FIXED),
    )


def choose(candidates: Sequence[Candidate], wanted: Sequence[str], count: int) -> list[str]:
    """The addresses to buy.

    Raises:
        Refused: wrong number, not on offer, or refused by vetting.
    """
    good = [one.address for one in candidates if one.verdict is Verdict.RECOMMENDED]
    chosen = list(dict.fromkeys(wanted)) or good[:count]
    bad = [address for address in chosen if address not in good]
    if bad:
        raise Refused(
            f"{bad[0]} is not a recommended candidate of this order.", field="candidates", code="candidate"
        )
    if len(chosen) != count:
        raise Refused(f"Choose {count} candidates, not {len(chosen)}.", field="candidates", code="count")
    return chosen


class PurchaseInput(BaseModel):
    """What the workflow of an order starts from; everything else is in the store."""

    order_id: str
    count: int = 1
    pool: str = "default"
    sender: str | None = None
    type: IpType = IpType.DEDICATED
    quote_seconds: float = 3_600.0


class Complete(BaseModel):
    """Pay and buy; without candidates the first recommended ones."""

    payment_method: str = Field(min_length=1, max_length=255)
    candidates: list[str] = []


class Cancel(BaseModel):
    """End the order and undo what was done."""

    reason: str = "cancelled by the operator"


class PurchaseState(BaseModel):
    """How an order stands, for queries and as the result."""

    status: OrderStatus = OrderStatus.QUOTING
    step: str = ""
    reason: str = ""
    addresses: list[str] = []
