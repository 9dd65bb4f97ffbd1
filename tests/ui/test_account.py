"""Tokens and settings, SMTP credentials and the import, as an operator meets them."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from tests.ui.double import ADDRESS, State, quoted
from tests.ui.seeing import button, said
from ui.pieces import places

Open = Callable[..., AppTest]


def test_a_new_token_is_shown_once(page: Open, state: State) -> None:
    app = page(places.TOKENS)
    app.text_input(key="token_name").input("mailer 7")
    app.selectbox(key="token_role").select("operator")
    app = button(app, "Make token")
    assert state.asked[0][1:3] == ("/v1/tokens", {"name": "mailer 7", "role": "operator"})
    assert [one.value for one in app.code] == ["wp_t2_secret"]
    app = button(app, "I have copied it")
    assert not app.code
    assert "mailer 7" in said(app)


def test_a_token_without_a_name_is_not_made(page: Open, state: State) -> None:
    app = button(page(places.TOKENS), "Make token")
    assert "Enter a name" in said(app)
    assert state.asked == []


def test_the_last_administrator_stays(page: Open) -> None:
    assert next(one for one in page(places.TOKENS).button if one.label == "Revoke").disabled


def test_revoking_asks_once(page: Open, state: State) -> None:
    state.tokens.append(state.tokens[0] | {"id": "t2", "name": "second"})
    app = button(page(places.TOKENS), "Revoke")
    assert "cannot be undone" in said(app)
    app = button(app, "Revoke now")
    assert "Give a reason" in said(app)
    assert state.asked == []
    app.text_input(key="revoke:t1_reason").input("left us")
    app = button(app, "Revoke now")
    assert state.asked[0][:2] == ("DELETE", "/v1/tokens/t1")
    assert "– Revoked" in said(app)


def test_a_viewer_is_told_which_role_tokens_need(page: Open, state: State) -> None:
    state.refuse["GET", "/v1/tokens"] = (403, {"title": "Forbidden", "detail": "This needs the role admin."})
    assert "Ask an administrator" in said(page(places.TOKENS))


def test_settings_hide_secrets(page: Open) -> None:
    rows = page(places.SETTINGS).dataframe[0].value
    seen = dict(zip(rows["Setting"], rows["Value"], strict=True))
    assert seen["WARMPATH_SECRET_KEY"] == "set, not shown"
    assert seen["WARMPATH_SMTP_TLS"] == "yes"
    assert seen["WARMPATH_REGION"] == "not set"


def rotated(app: AppTest) -> AppTest:
    """The form of new credentials, filled and pressed."""
    for name, value in (("host", "127.0.0.1"), ("username", "ada"), ("password", "new-secret")):
        app.text_input(key=f"smtp:{ADDRESS}_{name}").input(value)
    app.text_input(key=f"smtp:{ADDRESS}_reason").input("ada left")
    return button(app, "Verify and replace")


def test_credentials_are_replaced_and_the_password_is_forgotten(page: Open, state: State) -> None:
    state.add_ip("active")
    app = rotated(page(ip=ADDRESS))
    method, path, body, _ = state.asked[0]
    assert (method, path) == ("PUT", f"/v1/ips/{ADDRESS}/smtp")
    assert (body["password"], body["reason"]) == ("new-secret", "ada left")
    assert "verified and replaced: 127.0.0.1:587 ada" in said(app)
    assert app.text_input(key=f"smtp:{ADDRESS}_password").value == ""


def test_refused_credentials_are_shown_at_their_field_and_kept(page: Open, state: State) -> None:
    state.add_ip("active")
    state.refuse["PUT", f"/v1/ips/{ADDRESS}/smtp"] = (
        422,
        {
            "title": "Not accepted",
            "detail": "The server refused the password.",
            "errors": [{"field": "smtp.password", "message": "535 wrong"}],
        },
    )
    app = rotated(page(ip=ADDRESS))
    assert "535 wrong" in said(app)
    assert app.text_input(key=f"smtp:{ADDRESS}_username").value == "ada"


def imported(app: AppTest, lines: str) -> AppTest:
    """The lines pasted and sent."""
    app.text_area(key="import_lines").input(lines)
    return button(app, "Import IPs")


def test_a_csv_is_sent_as_it_was_pasted(page: Open, state: State) -> None:
    lines = "address,pool\n203.0.113.40,bulk\n203.0.113.41,bulk"
    app = page()
    app.text_input(key="import_reason").input("bought & moved")
    app = imported(app, lines)
    assert state.asked[0][:3] == ("POST", "/v1/ips/import", {"csv": lines, "reason": "bought & moved"})
    assert "2 IPs are imported" in said(app)


def test_a_refused_line_is_named_and_nothing_typed_is_lost(page: Open, state: State) -> None:
    state.refuse["POST", "/v1/ips/import"] = (
        422,
        {"title": "Not accepted", "detail": "line 3: 'x' is no IP address.", "errors": []},
    )
    app = imported(page(), "address\n203.0.113.40\nx")
    assert "line 3: 'x' is no IP address." in said(app)
    assert app.text_area(key="import_lines").value == "address\n203.0.113.40\nx"


def test_only_a_sandbox_offers_test_cards(page: Open, state: State) -> None:
    state.orders["order-1"] = quoted({"hostname": "mail1.example.test", "count": 1}, 1)
    assert "Payment method" in [one.label for one in page(places.PAYMENT, order="order-1").selectbox]
    state.profile = "live"
    app = page(places.PAYMENT, order="order-1")
    assert "Payment method" not in [one.label for one in app.selectbox]
    assert next(one for one in app.button if one.label == "Complete Purchase").disabled
    app.text_input(key="payment_token").input("pm_real").run()
    button(button(app, "Complete Purchase"), "Pay 8.00 USD")
    assert state.asked[0][2]["payment_method"] == "pm_real"
