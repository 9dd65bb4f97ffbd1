"""IP Acquisition and Payment Gateway: from the form to the payment."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from domain.purchase import MOST_AT_ONCE
from sandbox import zones
from tests.ui.double import State, quoted
from tests.ui.seeing import button, said
from ui.pieces import places

Open = Callable[..., AppTest]


def test_a_purchase_says_at_which_step_it_is(page: Open, state: State) -> None:
    state.orders["order-1"] = quoted({"hostname": "mail1.example.test", "count": 1}, 1) | {
        "status": "purchasing", "step": "provision", "waiting_for": "",
    }  # fmt: skip
    (bar,) = page(places.PAYMENT, order="order-1").get("progress")
    assert (bar.proto.text, bar.proto.value) == ("Step 4 of 6: provision.", 50)
    state.orders["order-1"] |= {"status": "quoting", "step": ""}
    app = page(places.PAYMENT, order="order-1")
    assert [one.label for one in app.status] == ["Candidates are looked up on the blocklists ..."]


@pytest.mark.parametrize("status", ["quoting", "waitlisted", "purchasing"])
def test_an_order_under_way_can_be_cancelled(page: Open, state: State, status: str) -> None:
    state.orders["order-1"] = quoted({"hostname": "mail1.example.test", "count": 1}, 1) | {"status": status}
    app = button(page(places.PAYMENT, order="order-1"), "Cancel order")
    assert state.asked[-1][1] == "/v1/orders/order-1/cancel"
    assert "nothing is owed for it" in said(app)


def test_a_cancelled_order_whose_payment_stands_is_not_said_to_owe_nothing(page: Open, state: State) -> None:
    ended = quoted({"hostname": "mail1.example.test", "count": 1}, 1) | {"payment": {"status": "captured"}}
    state.orders["order-1"] = ended | {"status": "purchasing"}
    text = said(button(page(places.PAYMENT, order="order-1"), "Cancel order"))
    assert "nothing is owed" not in text.lower()


def test_a_waiting_order_shows_what_it_lacks(page: Open, state: State) -> None:
    why = "Only 1 of 2 addresses on offer passed vetting."
    asked = {"hostname": "m.example.test", "count": 2, "type": "dedicated", "vendor": "sandbox"}
    state.orders["order-1"] = quoted(asked, 1) | {
        "region": "eu-central", "status": "waitlisted", "reason": why, "deadline": "2026-11-27T12:00:00Z",
    }  # fmt: skip
    app = page(places.PAYMENT, order="order-1")
    text = said(app)
    assert "2 dedicated IPs in eu-central from Sandbox" in text
    assert f"{why} The order waits until 2026-11-27 12:00:00 UTC" in text
    assert "out of stock" not in text
    assert "listed on zen" in list(app.table[0].value["Why"])


@pytest.mark.parametrize(
    ("paid", "says"),
    [("cancelled", "Nothing is owed"), ("declined", "Nothing is owed"), ("captured", "could not be undone")],
)
def test_a_failed_order_says_what_became_of_its_money(page: Open, state: State, paid: str, says: str) -> None:
    state.orders["order-1"] = quoted({"hostname": "m.example.test", "count": 1}, 1) | {
        "status": "failed", "reason": "The vendor refused.", "payment": {"status": paid},
    }  # fmt: skip
    assert says in said(page(places.PAYMENT, order="order-1"))


def test_no_more_ips_can_be_ordered_than_the_api_takes(page: Open) -> None:
    (count,) = [one for one in page(places.ACQUIRE).number_input if one.label == "Count"]
    assert count.max == MOST_AT_ONCE


def test_the_form_is_checked_before_it_is_sent(page: Open, state: State) -> None:
    app = button(page(places.ACQUIRE), "Save IP Configuration")
    assert "Enter the domain that mail is sent for." in said(app)
    assert state.asked == []


def filled(app: AppTest) -> AppTest:
    """The form of IP Acquisition with its required fields."""
    app.text_input(key="purchase_domain").input("example.test")
    app.text_input(key="purchase_hostname").input("mail1.example.test")
    return app


def test_a_refusal_stands_at_its_field_and_what_was_typed_stays(page: Open, state: State) -> None:
    state.refuse["POST", "/v1/orders"] = (
        422,
        {
            "title": "Refused",
            "detail": "The domain does not exist.",
            "errors": [{"field": "domain", "detail": "not in DNS"}],
        },
    )
    app = button(filled(page(places.ACQUIRE)), "Save IP Configuration")
    assert "not in DNS" in said(app)
    assert app.text_input(key="purchase_domain").value == "example.test"


def test_saving_sends_the_configuration_once_with_a_key(page: Open, state: State) -> None:
    button(filled(page(places.ACQUIRE)), "Save IP Configuration")
    method, path, body, key = state.asked[0]
    assert (method, path) == ("POST", "/v1/orders")
    assert body["hostname"] == "mail1.example.test"
    assert key


def test_money_moves_only_after_one_question(page: Open, state: State) -> None:
    state.add_ip("active")
    state.orders["order-1"] = quoted({"hostname": "mail1.example.test", "count": 1}, 1)
    app = button(page(places.PAYMENT, order="order-1"), "Complete Purchase")
    assert "8.00 USD will be charged" in said(app)
    assert state.asked == []
    app.text_input(key="pay:order-1_reason").input("more mail")
    button(app, "Pay 8.00 USD")
    assert state.asked[0][2]["reason"] == "more mail"
    assert state.asked[0][1] == "/v1/orders/order-1/purchase"
    # The recommended choice is left open, so that a candidate taken meanwhile is replaced.
    assert "candidates" not in state.asked[0][2]


def test_an_order_that_cannot_be_cancelled_says_so(page: Open, state: State) -> None:
    state.orders["order-1"] = quoted({"hostname": "mail1.example.test", "count": 1}, 1)
    state.refuse["POST", "/v1/orders/order-1/cancel"] = (409, {"title": "Refused", "detail": "It is being bought."})
    assert "It is being bought." in said(button(page(places.PAYMENT, order="order-1"), "Cancel order"))


def test_a_newcomer_is_told_which_domains_a_sandbox_has(page: Open, state: State) -> None:
    text = said(page(places.ACQUIRE))
    for domain in (*zones.AUTOMATIC_DOMAINS, *zones.MANUAL_DOMAINS):
        assert domain in text
    state.profile = "live"
    assert "sandbox" not in "".join(one.value for one in page(places.ACQUIRE).caption)


def test_a_refusal_that_no_field_says_is_said_below_the_form(page: Open, state: State) -> None:
    state.refuse["POST", "/v1/orders"] = (
        422,
        {"title": "Refused", "detail": "The budget is spent.", "errors": [{"field": "budget", "detail": "spent"}]},
    )
    app = button(filled(page(places.ACQUIRE)), "Save IP Configuration")
    assert "The budget is spent." in "".join(one.value for one in app.error)


def test_a_new_order_after_a_failure_starts_with_what_was_typed(page: Open, state: State) -> None:
    body = {"hostname": "mail1.example.test", "domain": "example.test", "count": 2, "type": "shared"}
    state.orders["order-1"] = quoted(body, 1) | {"status": "failed", "reason": "The card was declined."}
    app = button(page(places.PAYMENT, order="order-1"), "Start a new order")
    assert app.text_input(key="purchase_domain").value == "example.test"
    assert app.text_input(key="purchase_hostname").value == "mail1.example.test"
    assert app.number_input(key="purchase_count").value == 2
    assert app.radio(key="purchase_type").value == "shared"
