"""Buying IPs: what may be ordered, what it costs, which candidates are good, and the messages of an order."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, Field, SecretStr

from domain import names
from domain.addresses import neighbourhood
from domain.dns_options import DnsOptions, checked
from domain.refusals import Refused
from domain.words import DEFAULT_POOL, IpType, OrderStatus

CURRENCY = "USD"
MOST_AT_ONCE = 50

ENDED = (OrderStatus.PURCHASED, OrderStatus.FAILED, OrderStatus.CANCELLED, OrderStatus.EXPIRED)


class Money(BaseModel):
    """An amount in units of the currency, two decimals, as text."""

    amount: str
    currency: str = CURRENCY

    @classmethod
    def of(cls, amount: Decimal) -> Money:
        """Rounded to cents."""
        return cls(amount=f"{amount:.2f}")


class SmtpInput(BaseModel, extra="forbid"):
    """The credentials of the mail system behind an IP; the password is never part of an answer."""

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(587, ge=1, le=65535)
    username: str = Field(min_length=1, max_length=320)
    password: SecretStr
    starttls: bool = True


class OrderInput(BaseModel, extra="forbid"):
    """What an operator orders."""

    type: IpType = IpType.DEDICATED
    vendor: str = Field(max_length=40)
    region: str = Field("", max_length=60)
    count: int = Field(1, ge=1, le=MOST_AT_ONCE)
    pool: str = Field(DEFAULT_POOL, min_length=1, max_length=60)
    domain: str = Field(max_length=253)
    hostname: str = Field(max_length=253)
    mx: str | None = Field(None, max_length=253)
    dns: DnsOptions | None = Field(None, description="Optional records of the sending domain.")
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
    domain, hostname = names.parse(order.domain, field="domain"), names.parse(order.hostname, field="hostname")
    names.check_host(hostname, domain, order.count)
    mx = names.parse(order.mx, field="mx") if order.mx and order.mx.strip() else None
    wishes = checked(order.dns, "dns") if order.dns is not None else None
    return order.model_copy(update={"domain": domain, "hostname": hostname, "mx": mx, "region": region, "dns": wishes})


def waiting_for(status: OrderStatus, vendor: str) -> str:
    """What an order waits for, in words; nothing once it has ended."""
    return {
        OrderStatus.QUOTING: "candidates are being vetted",
        OrderStatus.WAITLISTED: f"stock at {vendor}",
        OrderStatus.QUOTED: "an operator to complete the purchase",
        OrderStatus.PURCHASING: "the purchase to run",
    }.get(status, "")


#: What an order waits for while its vendor or its payment provider is not to be had.
AGAIN = "another try: "
_LONGEST_REASON = 300


def trying_again(why: str) -> str:
    """What an order waits for, in words, while a step of it is asked again and again; the first line of the reason."""
    return AGAIN + (why.strip().splitlines() or ["no answer"])[0][:_LONGEST_REASON]


class Prices(BaseModel):
    """What an IP is sold for, a month without tax, and what the payment provider keeps of a payment.

    The values are settings (``WARMPATH_EXTRA_IP_MONTHLY_PRICE`` and its neighbours), which name their source.
    """

    monthly_price: Decimal
    fee_share: Decimal
    fee_fixed: Decimal


class Verdict(StrEnum):
    """What vetting says of a candidate."""

    RECOMMENDED = "recommended"
    REFUSED = "refused"


class ListAnswer(BaseModel):
    """What one blocklist said: ``clean``, ``listed``, ``not_a_listing`` or ``unknown``, and why."""

    zone: str
    state: str
    reason: str = ""
    against: bool = Field(False, description="A listing that acts, or a policy entry that keeps mail from going out.")


class Neighbours(BaseModel):
    """A sample of the addresses around a candidate, and which of them are listed."""

    network: str = ""
    asked: list[str] = []
    listed: list[str] = []


class PtrFound(StrEnum):
    """Whether an address has a reverse name now; no answer is not the same as none."""

    FOUND = "found"
    NONE = "none"
    UNKNOWN = "unknown"


class Candidate(BaseModel):
    """An address on offer, vetted. ``price`` is ours a month without tax, ``cost`` the vendor's."""

    address: str
    price: Money
    cost: Money
    verdict: Verdict
    reasons: list[str] = []
    ptr: str | None = None
    ptr_state: PtrFound = PtrFound.UNKNOWN
    listings: list[ListAnswer] = []
    neighbours: Neighbours = Neighbours()


class Evidence(BaseModel):
    """What was found about a candidate."""

    listings: list[ListAnswer] = []
    neighbours: Neighbours = Neighbours()
    ptr: str | None = None
    ptr_state: PtrFound = PtrFound.UNKNOWN


def sample(address: str, size: int) -> list[str]:
    """The ``size`` nearest addresses of the same /24 (IPv6: /64), nearest first, without the candidate."""
    own = ipaddress.ip_address(address)
    network = ipaddress.ip_network(neighbourhood(address))
    picked: list[str] = []
    for distance in range(1, size * 2 + 1):
        for step in (distance, -distance):
            number = int(own) + step
            # The first and the last address of a network are nobody's.
            if len(picked) < size and int(network[0]) < number < int(network[-1]):
                picked.append(str(type(own)(number)))
    return picked


def vet(evidence: Evidence, *, tolerated: int) -> tuple[Verdict, list[str]]:
    """The verdict and why. Unknown is shown but is no reason to refuse; a listing is.

    Args:
        evidence: what was found.
        tolerated: listed neighbours of the sample that are put down to bad luck.
    """
    around = evidence.neighbours
    is_ = "is" if len(around.listed) == 1 else "are"
    said = f"{len(around.listed)} of {len(around.asked)} neighbours asked in {around.network} {is_} listed"
    named = f"{said}: {', '.join(around.listed)}"
    against = [f"listed on {one.zone}: {one.reason}" for one in evidence.listings if one.against]
    if len(around.listed) > tolerated:
        against.append(named)
    notes = [f"no answer from {one.zone}, so unknown there" for one in evidence.listings if one.state == "unknown"]
    if 0 < len(around.listed) <= tolerated:
        notes.append(named)
    if evidence.ptr_state is PtrFound.FOUND:
        notes.append(f"its PTR still says {evidence.ptr}; DNS set-up replaces it")
    elif evidence.ptr_state is PtrFound.UNKNOWN:
        notes.append("its PTR could not be read now")
    if against:
        return Verdict.REFUSED, against + notes
    if any(one.state == "unknown" for one in evidence.listings):
        return Verdict.RECOMMENDED, notes
    clean = "on no list that acts"
    if around.asked and not around.listed:
        clean += f"; none of {len(around.asked)} neighbours asked in {around.network} is listed"
    return Verdict.RECOMMENDED, [clean, *notes]


def refused(candidates: Sequence[Candidate]) -> set[str]:
    """The addresses that vetting refused."""
    return {one.address for one in candidates if one.verdict is Verdict.REFUSED}


def too_few(good: int, free: int, count: int, *, again: Collection[str] = ()) -> str:
    """Why an order waits although its vendor has an offer: others hold the addresses, or too few passed vetting.

    Args:
        again: addresses that were refused at the last look, too, and offered again.
    """
    if free < count:
        return f"Only {free} of {count} addresses on offer are free; the others are in service or ordered already."
    said = f"Only {good} of {count} addresses on offer passed vetting."
    if not again:
        return said
    first, *others = sorted(again)
    more = f" and {len(others)} more" if others else ""
    return f"{said} The vendor offers {first}{more} again, refused at the last look, too."


class Quote(BaseModel):
    """What is charged now (the first month, without tax), and what it costs us."""

    total: Money
    monthly_price: Money
    monthly_cost: Money
    payment_fee: Money
    tax: str = "excluded"


def quote(count: int, monthly_cost: Decimal, prices: Prices) -> Quote:
    """The price of ``count`` IPs whose vendor charges ``monthly_cost`` each."""
    total = prices.monthly_price * count
    return Quote(
        total=Money.of(total),
        monthly_price=Money.of(total),
        monthly_cost=Money.of(monthly_cost * count),
        payment_fee=Money.of(total * prices.fee_share + prices.fee_fixed),
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
        raise Refused(f"{bad[0]} is not a recommended candidate of this order.", field="candidates", code="candidate")
    if len(chosen) != count:
        raise Refused(f"Choose {count} candidates, not {len(chosen)}.", field="candidates", code="count")
    return chosen


_CARD_NUMBER = re.compile(r"(?:[0-9][ -]?){12,19}")


def check_payment_method(text: str) -> None:
    """A card number is kept nowhere, not even sealed.

    Raises:
        Refused: it looks like one.
    """
    if _CARD_NUMBER.fullmatch(text.strip()):
        said = "This looks like a card number. Enter cards at the payment provider only, and give its token here."
        raise Refused(said, field="payment_method", code="card_number")


class PaymentEventKind(StrEnum):
    """What can happen to a payment without our doing."""

    CANCELLED = "cancelled"
    FAILED = "failed"
    REFUNDED = "refunded"
    DISPUTED = "disputed"


def payment_purpose(order_id: str) -> str:
    """What the payment methods of an order are kept for; they go when it ends."""
    return f"payment:{order_id}"


class PurchaseInput(BaseModel):
    """What the workflow of an order starts from; everything else is in the store."""

    order_id: str
    count: int = 1
    pool: str = DEFAULT_POOL
    sender: str | None = None
    type: IpType = IpType.DEDICATED
    quote_seconds: float = 3_600.0
    vendor_queue: str | None = Field(None, description="Task queue of slow or paid calls; None: the order's own.")


class Complete(BaseModel):
    """Pay and buy; without candidates the first recommended ones.

    ``payment_secret`` is the reference of the provider's token for the payment method: it charges a card, so
    histories never hold it.
    """

    payment_secret: str
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


class PaymentEvent(BaseModel):
    """What the payment provider says of an order's payment by itself, under its own event id."""

    event_id: str = Field(max_length=255)
    kind: PaymentEventKind
    detail: str = ""


def payment_reason(event: PaymentEvent) -> str:
    """Why an order whose payment moved by itself cannot go on, in words."""
    what = {
        PaymentEventKind.CANCELLED: "The authorisation of the payment expired or was cancelled at the provider.",
        PaymentEventKind.FAILED: "The payment failed at the provider.",
        PaymentEventKind.REFUNDED: "The payment was refunded at the provider.",
        PaymentEventKind.DISPUTED: "The payment is disputed by the card's holder.",
    }[event.kind]
    return f"{what} {event.detail}".strip()
