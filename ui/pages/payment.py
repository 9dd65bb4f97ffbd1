"""Payment Gateway: vetted candidates, the quote, one payment, and what became of every order."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ui.client import Api, Problem, path_of
from ui.pieces import asking, journey, paging, places, session, words
from ui.pieces.forms import OPTIONAL, Form
from ui.pieces.guard import guarded, live, trouble

STATUS: dict[str, tuple[str, Any]] = {
    "quoting": ("… Vetting candidates", "blue"),
    "quoted": ("○ Waits for payment", "orange"),
    "waitlisted": ("… On the waitlist", "orange"),
    "purchasing": ("◔ Purchasing", "blue"),
    "purchased": ("✓ Purchased", "green"),
    "failed": ("✕ Failed", "red"),
    "cancelled": ("– Cancelled", "gray"),
    "expired": ("– Expired", "gray"),
}

#: Steps of a purchase in their order, as its journey names them.
STEPS = ("reserve", "vet again", "authorise payment", "provision", "capture payment", "hand over")

PAGE_SIZE = 25

#: Figures of a quote, none with tax.
FIGURES = {
    "total": "Charged now: the first month, without tax.",
    "monthly_price": "Charged each month from then on, without tax.",
    "monthly_cost": "Of it, what the vendor of the IPs gets each month.",
    "payment_fee": "Of the total, what the payment provider keeps.",
}

#: Tokens of test payment methods, offered in the sandbox beside a free field.
SANDBOX_METHODS = {
    "pm_card_visa": "Test card that is accepted",
    "pm_card_chargeDeclined": "Test card that is declined",
}


def status_word(order: dict[str, Any]) -> str:
    """An order's status with its sign."""
    return STATUS.get(str(order.get("status")), (words.spoken(order.get("status")), "gray"))[0]


def total(order: dict[str, Any]) -> str:
    """What completing the purchase costs, in words."""
    quote = order.get("quote") or {}
    for name in ("total", "due", "price", "amount", "monthly"):
        if isinstance(quote.get(name), dict):
            return words.money(quote[name])
    return words.money(quote) if quote.get("amount") else "the quoted price"


@live
def orders(api: Api) -> None:
    """All orders, newest first, to choose one."""
    pager = paging.Pager("orders", None)
    answer = api.get("/v1/orders", after=pager.cursor, limit=PAGE_SIZE)
    found: list[dict[str, Any]] = answer.get("items") or []
    if not found:
        st.info("Orders are paid here. There is none yet: choose an IP first.")
        places.acquire(type="primary")
        return
    for order in found:
        where, what, how, go = st.columns([3, 3, 2, 1], vertical_alignment="center")
        where.markdown(f"**{order.get('hostname') or order.get('domain') or 'An IP'}**")
        what.markdown(
            f"{order.get('count', 1)} {order.get('type', '')} · {words.spoken(order.get('vendor'))}"
            f"{' · ' + total(order) if order.get('quote') else ''} · {words.when(order.get('created_at'))}",
            unsafe_allow_html=True,
        )
        how.badge(status_word(order), color=STATUS.get(str(order.get("status")), ("", "gray"))[1])
        with go:
            places.link(places.PAYMENT, "Open", order=str(order["id"]))
    pager.buttons(answer.get("next"), paging.everything(api, "/v1/orders", _row), "orders.csv")


def _row(order: dict[str, Any]) -> dict[str, Any]:
    return {
        "Order": order["id"],
        "Host name": order.get("hostname"),
        "Domain": order.get("domain"),
        "Vendor": words.spoken(order.get("vendor")),
        "Type": words.spoken(order.get("type")),
        "Count": order.get("count"),
        "Status": words.spoken(order.get("status")),
        "Total": total(order),
        "IPs": ", ".join(map(str, order.get("ips") or [])),
        "Reason": order.get("reason"),
        "Made (UTC)": words.exact(order.get("created_at")).removesuffix(" UTC"),
    }


@live
def watch(api: Api, order_id: str) -> None:
    """An order that moves by itself: what it waits for, until it ends."""
    order = api.get(path_of("/v1/orders/{id}", id=order_id))
    if order.get("status") in ("quoted",):
        st.rerun()
    _head(order)
    _progress(order)
    _outcome(api, order)
    if order.get("status") in ("quoting", "waitlisted", "purchasing"):
        cancel(api, order)
    journey.workflow_link(order)


def _progress(order: dict[str, Any]) -> None:
    """What is being done by itself: a purchase has steps that are counted, a look at blocklists has none."""
    status, step = order.get("status"), str(order.get("step") or "")
    waits = words.waiting(order.get("waiting_for"))
    if status == "purchasing" and step in STEPS:
        place = STEPS.index(step)
        st.progress(place / len(STEPS), text=f"Step {place + 1} of {len(STEPS)}: {step}. {waits}".strip())
    elif status in ("purchasing", "quoting"):
        usual = "Candidates are looked up on the blocklists" if status == "quoting" else "The purchase begins"
        st.status(f"{words.literal(waits) or usual} ...", state="running")


def _head(order: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        whom = order.get("hostname") or order.get("domain") or "an IP"
        st.header(f"Order for {whom}", anchor=False, width="stretch")
        st.badge(status_word(order), color=STATUS.get(str(order.get("status")), ("", "gray"))[1])
    st.caption(_ordered(order))


def _ordered(order: dict[str, Any]) -> str:
    """What was asked for: ``2 dedicated IPs in eu-central from Sandbox``."""
    count, region = int(order.get("count") or 1), order.get("region")
    where = f" in {words.literal(region)}" if region else ""
    kind = f"{order.get('type') or ''} IP{'' if count == 1 else 's'}".strip()
    return f"{words.number(count)} {kind}{where} from {words.literal(words.spoken(order.get('vendor')))}"


def _outcome(api: Api, order: dict[str, Any]) -> None:
    status = order.get("status")
    ips = [str(one.get("address") if isinstance(one, dict) else one) for one in order.get("ips") or []]
    if status == "purchased":
        paid = order.get("payment") or {}
        amount = paid.get("amount")
        if amount and not isinstance(amount, dict):
            amount = paid
        st.success(
            f"Purchased: {', '.join(ips) or 'the IPs'}."
            + (f" Paid: {words.money(amount)}." if amount else "")
            + " The journey goes on with DNS Setup."
        )
        for ip in ips:
            with st.container(horizontal=True):
                places.link(places.FLEET, f"Open {ip}", ip=ip)
                places.link(places.RECORDS, "Next: DNS records", ip=ip)
                places.link(places.DNS, "See their state", ip=ip)
    elif status in ("failed", "cancelled", "expired"):
        stuck = (order.get("payment") or {}).get("status") in ("authorised", "captured")
        st.error(
            f"{status_word(order)}: {words.literal(str(order.get('reason') or 'no reason given').rstrip('.'))}. "
            + ("Its payment could not be undone: the incident of this order says what to do by hand."
               if stuck else "Nothing is owed for this order.")
        )  # fmt: skip
        typed = {
            f"purchase_{name}": order[name] for name in ("type", "count", "domain", "hostname", "mx") if order.get(name)
        }
        places.acquire("Start a new order", typed)
    elif status == "waitlisted":
        until = order.get("deadline") or order.get("expires_at")
        st.warning(
            f"{words.literal(order.get('reason') or 'The vendor is out of stock.')} The order waits"
            f"{' until ' + words.exact(until) if until else ''} and goes on by itself."
        )
        offer(order)


def cancel(api: Api, order: dict[str, Any]) -> None:
    """Button **Cancel order**; it costs nothing, so it does not ask: what was done is undone."""
    why = session.barred()
    if not st.button("Cancel order", disabled=why is not None, help=why, width="stretch"):
        return
    try:
        with st.spinner("Undoing what was done ..."):
            ended = api.post(path_of("/v1/orders/{id}/cancel", id=str(order["id"])))
    except Problem as problem:
        trouble(problem)
        return
    # Anything else the page itself tells: a purchase that failed meanwhile, or a payment that could not be undone.
    if ended["status"] == "cancelled" and (ended.get("payment") or {}).get("status") not in ("authorised", "captured"):
        session.say("The order is cancelled; nothing is owed for it.", "info", about=ended)
    st.rerun()


def candidates(order: dict[str, Any]) -> list[str]:
    """The vetted candidates and why each is recommended or refused; returns those chosen."""
    if not order.get("candidates"):
        return []
    offer(order)
    good = _recommended(order)
    want = int(order.get("count") or 1)
    return st.multiselect(
        f"IPs to buy ({want})", good, default=good[:want], max_selections=want, key=f"pick:{order['id']}"
    )


def offer(order: dict[str, Any]) -> None:
    """What the vendor offers, and what vetting says of each."""
    offered: list[dict[str, Any]] = order.get("candidates") or []
    if not offered:
        return
    st.markdown("**Candidates, vetted before any money moves**")
    rows = [
        {
            "IP": one.get("address"),
            "Verdict": words.spoken(one.get("verdict")),
            "Monthly": words.money(one.get("price")),
            "Why": "; ".join(str(reason) for reason in one.get("reasons") or []) or "no finding",
            "PTR now": one.get("ptr") or ("unknown" if one.get("ptr_state") == "unknown" else "none"),
            "Listed neighbours": _neighbours(one),
        }
        for one in offered
    ]
    # A table whose rows wrap: why a candidate is recommended or refused must be readable without a click.
    paging.table(rows)
    _lists(offered)


def _neighbours(candidate: dict[str, Any]) -> str:
    """How many of the sample are listed; the sample is a part of the network, and says so."""
    around = candidate.get("neighbours") or {}
    asked = around.get("asked") or []
    if not asked:
        return "not asked"
    return f"{len(around.get('listed') or [])} of {len(asked)} asked in {around.get('network')}"


def _lists(offered: list[dict[str, Any]]) -> None:
    """What every blocklist said of every candidate; unknown is not clean."""
    rows = [
        {"IP": one.get("address"), "List": said.get("zone"), "Answer": words.spoken(said.get("state")),
         "Why": said.get("reason")}
        for one in offered
        for said in one.get("listings") or []
    ]  # fmt: skip
    if rows:
        with st.expander("What every blocklist said"):
            st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")


def _recommended(order: dict[str, Any]) -> list[str]:
    offered: list[dict[str, Any]] = order.get("candidates") or []
    return [str(one["address"]) for one in offered if str(one.get("verdict")) not in ("refused", "rejected", "bad")]


def confirm(api: Api, order: dict[str, Any], method: str, chosen: list[str]) -> None:
    """Asks once, in words that name what it costs."""
    purpose = f"pay:{order['id']}"
    form = Form(purpose)
    with asking.question("Complete the purchase?", forget=form.forget):
        st.write(
            f"{total(order)} will be charged for {', '.join(chosen) or 'this order'}. "
            "If anything fails on the way, the IP is released and the payment is cancelled or refunded."
        )
        body: dict[str, Any] = {"payment_method": method, "reason": form.reason(told=OPTIONAL)}
        if not st.button(f"Pay {total(order)}", type="primary"):
            return
        # The default choice is left open, so that a candidate that was taken or listed meanwhile is replaced.
        if chosen and chosen != _recommended(order)[: len(chosen)]:
            body["candidates"] = chosen
        try:
            with st.spinner("The purchase is on its way ..."):
                path = path_of("/v1/orders/{id}/purchase", id=str(order["id"]))
                begun = api.post(path, body, key=session.key(purpose))
        except Problem as problem:
            session.spent(purpose)
            trouble(problem)
            return
        form.forget()
        asking.close()
        session.say("The purchase started. It goes on even if this page is closed.", about=begun)
        st.rerun()


def _method(api: Api) -> str:
    """The token to pay with; test cards are offered only by a sandbox, where no money is real."""
    named = "other"
    if (api.find("/v1/fleet") or {}).get("profile") == "sandbox":
        named = st.selectbox(
            "Payment method",
            [*SANDBOX_METHODS, "other"],
            format_func=lambda one: SANDBOX_METHODS.get(one, "Another token"),
        )
    if named != "other":
        return named
    return st.text_input("Token of the payment method", placeholder="pm_...", key="payment_token").strip()


def pay(api: Api, order: dict[str, Any]) -> None:
    """The quote and the payment of one quoted order."""
    _head(order)
    chosen = candidates(order)
    quote = order.get("quote") or {}
    parts = [(name, value) for name, value in quote.items() if isinstance(value, dict) and "amount" in value]
    if parts:
        for column, (name, value) in zip(st.columns(len(parts)), parts, strict=True):
            column.metric(words.spoken(name), words.money(value), border=True, help=FIGURES.get(name))
    expires = quote.get("expires_at") or quote.get("expires")
    if expires:
        st.caption(f"The quote holds until {words.exact(expires)}.")
    st.markdown("**Payment**")
    st.caption("The payment provider takes the card; Warmpath only sees a token for it.")
    method = _method(api)
    press, give_up, _ = st.columns([1, 1, 2])
    reason = None
    if not method:
        reason = "Enter the token of a payment method."
    elif order.get("candidates") and not chosen:
        reason = "Choose at least one IP."
    with press:
        asking.button("Complete Purchase", "pay", str(order["id"]), reason, type="primary", width="stretch")
    with give_up:
        cancel(api, order)
    if reason is None and asking.is_open("pay", str(order["id"])):
        confirm(api, order, method, chosen)
    journey.workflow_link(order)


def main() -> None:
    """One order when the address names it, else all of them."""
    api = session.api()
    asked = st.query_params.get("order")
    if not asked:
        orders(api)
        return
    order = api.get(path_of("/v1/orders/{id}", id=asked))
    if order.get("status") == "quoted":
        pay(api, order)
    else:
        watch(api, asked)


with guarded():
    main()
