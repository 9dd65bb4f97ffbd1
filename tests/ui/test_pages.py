"""Pages as an operator meets them: empty, full, refused, in trouble."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from sandbox import zones
from tests.ui.conftest import APP
from tests.ui.double import ADDRESS, TOKEN, State, quoted
from ui.client import Api
from ui.pieces import journey, paging, places

Open = Callable[..., AppTest]


def said(app: AppTest) -> str:
    """All sentences on a page."""
    parts = [
        *app.markdown,
        *app.info,
        *app.success,
        *app.warning,
        *app.error,
        *app.caption,
        *app.subheader,
        *app.title,
    ]
    return "\n".join(str(part.value) for part in parts)


def button(app: AppTest, label: str) -> AppTest:
    """Presses a button by the name a person sees."""
    found = [one for one in app.button if one.label == label]
    assert found, f"no button {label!r} among {[one.label for one in app.button]}"
    return found[0].click().run()


@pytest.mark.parametrize("file", [None, *places.NAMES])
@pytest.mark.parametrize("stage", [None, "awaiting_dns", "active", "warming", "full_capacity"])
def test_every_page_stands_at_every_stage(page: Open, state: State, file: str | None, stage: str | None) -> None:
    if stage:
        state.add_ip(stage)
    if stage in ("warming", "full_capacity"):
        state.add_warmup()
    app = page(file)
    assert not app.exception
    assert not app.error


def test_an_empty_fleet_leads_to_the_first_purchase(page: Open) -> None:
    app = page()
    assert "You have none yet" in said(app)
    assert "Nothing waits for you" in said(app)
    assert "Acquire New IP" in [one.label for one in app.button]


def test_the_strip_shows_the_worst_first(page: Open, state: State) -> None:
    state.attention = [
        {"severity": "info", "text": "a quote waits", "page": "Payment Gateway"},
        {"severity": "critical", "text": "mail stands still", "page": "Warmup Dashboard", "ip": ADDRESS},
    ]
    text = said(page())
    assert text.index("mail stands still") < text.index("a quote waits")


def test_what_others_wrote_is_shown_as_it_stands(page: Open, state: State) -> None:
    state.attention = [
        {
            "severity": "critical",
            "text": "alert: [log in](https://bad.test) <b>now</b>",
            "since": "2026-03-01T00:00:00Z",
        }
    ]
    text = said(page())
    assert r"\[log in\](https://bad.test) &lt;b&gt;now&lt;/b&gt;" in text
    assert '<span title="2026-03-01 00:00:00 UTC">' in text


def test_a_strip_of_many_says_how_many_more_and_how_bad_they_are(page: Open, state: State) -> None:
    state.attention = [
        {"severity": severity, "text": f"trouble {number}", "page": "Reputation Dashboard"}
        for number, severity in enumerate(["critical"] * 5 + ["warning"] * 15)
    ]
    assert [one.label for one in page().expander][0] == "18 more, 3 critical"
    state.attention_total = 1_000
    app = page()
    assert [one.label for one in app.expander][0] == "998 more, 3 of these 18 critical"
    assert "These are the 20 worst of 1,000" in said(app)


def test_a_stopped_warm_up_is_not_called_paused(page: Open, state: State) -> None:
    state.add_ip("at_risk")
    state.add_warmup()
    state.warmups[ADDRESS] |= {"state": "stopped", "paused": True, "reason": "alert from Grafana: listed"}
    app = page(places.WARMUP, ip=ADDRESS)
    assert "! Stopped. Alert from Grafana: listed. No mail leaves by this IP" in "".join(one.value for one in app.error)
    assert "Paused" not in "".join(one.value for one in app.warning)


def test_columns_of_numbers_hold_numbers(page: Open, state: State) -> None:
    state.add_ip("warming")
    state.add_warmup()
    figures = page(places.PERFORMANCE).dataframe[0].value
    assert {str(figures[name].dtype) for name in ("Volume", "Delivery %", "Bounce %", "Complaint %")} == {"Float64"}
    assert figures["Bounce %"][0] == pytest.approx(1.01, abs=0.01)
    decisions = page(places.WARMUP, ip=ADDRESS).dataframe[0].value
    assert {str(decisions[name].dtype) for name in ("Cap", "Sent", "Bounce %", "Deferral %")} == {"Float64"}
    assert str(page(places.REPUTATION, ip=ADDRESS).dataframe[0].value["Score"].dtype) == "Float64"


def test_the_grid_of_dns_names_every_server_and_says_each_state_in_words(page: Open, state: State) -> None:
    state.add_ip("awaiting_dns")
    grid = page(places.DNS, ip=ADDRESS).dataframe[0].value
    assert list(grid.columns) == ["Record", "ns1", "ns2", "1.1.1.1"]
    assert list(grid.iloc[0]) == ["A  mail1.example.test", "✓ Published", "– Missing", "– Missing"]
    assert list(grid["Record"])[1] == "TXT (SPF)"


def test_every_journey_leads_to_temporal(page: Open, state: State) -> None:
    state.add_ip("warming")
    state.add_warmup()
    state.orders["order-1"] = quoted({"hostname": "mail1.example.test", "count": 1}, 1)
    for file, about in (
        (None, {"ip": ADDRESS}),
        (places.WARMUP, {"ip": ADDRESS}),
        (places.DNS, {"ip": ADDRESS}),
        (places.PAYMENT, {"order": "order-1"}),
    ):
        links = [one.proto.label for one in page(file, **about).get("link_button")]
        assert "Open this journey in Temporal" in links, file


def test_one_ip_has_a_place_of_its_own(page: Open, state: State) -> None:
    state.add_ip("awaiting_dns")
    app = page(ip=ADDRESS)
    assert ADDRESS in [one.value for one in app.subheader]
    assert "your registrar" in said(app)


def test_the_place_of_an_ip_leads_to_what_was_done_with_it(page: Open, state: State) -> None:
    state.add_ip("active")
    links = {one.proto.label: one.proto for one in page(ip=ADDRESS).get("page_link")}
    assert f"ip={ADDRESS}" in links["Audit: what was done with it"].query_string
    page(places.AUDIT, ip=ADDRESS)
    assert [asked for path, asked in state.read if path == "/v1/audit"][-1]["target"] == ADDRESS


def test_a_purchase_says_at_which_step_it_is(page: Open, state: State) -> None:
    state.orders["order-1"] = quoted({"hostname": "mail1.example.test", "count": 1}, 1) | {
        "status": "purchasing", "step": "provision", "waiting_for": "",
    }  # fmt: skip
    (bar,) = page(places.PAYMENT, order="order-1").get("progress")
    assert (bar.proto.text, bar.proto.value) == ("Step 4 of 6: provision.", 50)
    state.orders["order-1"] |= {"status": "quoting", "step": ""}
    app = page(places.PAYMENT, order="order-1")
    assert [one.label for one in app.status] == ["Candidates are looked up on the blocklists ..."]


def test_the_filter_by_stage_stays_when_its_last_ip_goes_on(page: Open, state: State) -> None:
    state.add_ip("active")
    app = page()
    app = next(one for one in app.button_group if one.label == "Stage").set_value("active").run()
    assert [asked for path, asked in state.read if path == "/v1/ips"][-1]["stage"] == "active"
    state.ips[ADDRESS]["stage"] = "warming"
    app = app.run()
    assert not app.exception
    assert [asked for path, asked in state.read if path == "/v1/ips"][-1]["stage"] == "active"


def test_an_unknown_ip_is_a_sentence(page: Open) -> None:
    app = page(ip="203.0.113.250")
    assert "There is no such thing." in said(app)
    assert not app.exception


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
    button(app, "Pay 8.00 USD")
    assert state.asked[0][1] == "/v1/orders/order-1/purchase"
    # The recommended choice is left open, so that a candidate taken meanwhile is replaced.
    assert "candidates" not in state.asked[0][2]


def test_a_warm_up_starts_with_the_plan_of_the_sliders(page: Open, state: State) -> None:
    state.add_ip("active")
    app = page(places.WARMUP, ip=ADDRESS)
    assert "Full capacity: most likely" in said(app)
    button(app, "Start Warmup")
    path, body = next((path, body) for _, path, body, _ in state.asked if path != "/v1/warmup/forecast")
    assert path == f"/v1/ips/{ADDRESS}/warmup"
    assert body["initial"] == 50
    assert body["growth"] == pytest.approx(0.25)


def test_a_warm_up_cannot_start_before_dns_and_says_why(page: Open, state: State) -> None:
    state.add_ip("awaiting_dns")
    app = page(places.WARMUP, ip=ADDRESS)
    start = next(one for one in app.button if one.label == "Start Warmup")
    assert start.disabled
    assert "DNS is not verified yet" in said(app)


def test_pausing_asks_and_wants_a_reason(page: Open, state: State) -> None:
    state.add_ip("warming")
    state.add_warmup()
    app = button(page(places.WARMUP, ip=ADDRESS), "Pause")
    assert "stops at the gate" in said(app)
    app = button(app, "Pause now")
    assert "✕ Give a reason" in said(app)
    assert state.asked == []
    app = button(button(app, "Not now"), "Pause")
    assert "stops at the gate" in said(app)
    assert "✕" not in said(app)


def test_dns_is_asked_again_on_demand(page: Open, state: State) -> None:
    state.add_ip("awaiting_dns")
    app = button(page(places.DNS, ip=ADDRESS), "Re-verify DNS")
    assert state.asked[0][1] == f"/v1/ips/{ADDRESS}/dns/verify"
    assert "Asked again" in said(app)


def test_a_wrong_token_and_a_garbled_answer_are_sentences(
    page: Open, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.add_ip("active")
    state.garble.add("/v1/ips")
    app = page()
    assert "could not be shown" in said(app)
    assert not app.exception
    monkeypatch.setenv("WARMPATH_TOKEN", "wrong")
    assert "The token is not known." in said(page())


def test_an_api_that_is_down_is_a_sentence(page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMPATH_API_URL", "http://127.0.0.1:9")
    app = page()
    assert "does not answer" in said(app)
    assert not app.exception


def test_without_a_token_the_console_asks_for_one(page: Open, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WARMPATH_TOKEN")
    app = page()
    assert [one.label for one in app.text_input] == ["Token"]
    app.text_input[0].input("test-token")
    button(app, "Sign in")
    assert "Acquire New IP" in [one.label for one in app.button]


def labelled(app: AppTest, label: str) -> Any:
    """A button by the name a person sees."""
    return next(one for one in app.button if one.label == label)


@pytest.mark.parametrize(
    ("file", "label"),
    [
        (places.ACQUIRE, "Save IP Configuration"),
        (places.DNS, "Re-verify DNS"),
        (places.DNS, "Contact Support"),
        (places.WARMUP, "Pause"),
        (places.REPUTATION, "Look again now"),
        (None, "Retire"),
        (None, "Verify and replace"),
    ],
)
def test_a_viewer_may_look_and_is_told_why_no_more(page: Open, state: State, file: str | None, label: str) -> None:
    state.role = "viewer"
    state.add_ip("warming")
    state.add_warmup()
    pressed = labelled(page(file, ip=ADDRESS), label)
    assert pressed.disabled
    assert "this needs the role operator" in pressed.help


def test_the_place_of_an_ip_tells_its_whole_story(page: Open, state: State) -> None:
    state.add_ip("at_risk")
    state.add_warmup()
    state.listings = [{"zone": "zen.example", "state": "confirmed", "first_seen": "2026-03-02T00:00:00Z"}]
    state.incidents = [
        {"id": "inc_1",
            "title": "Listed on zen.example", "severity": "critical", "opened_at": "2026-03-02T00:00:00Z",
         "detail": "Seen twice."}
    ]  # fmt: skip
    app = page(ip=ADDRESS)
    text = said(app)
    for part in (
        "Cap against sent",
        "It filled its cap.",
        ":red[**! Listed**] on zen.example",
        "Seen twice.",
        "Incidents",
    ):
        assert part in text
    app = button(app, "Close")
    app.text_input(key="close_incident_reason").input("delisted")
    button(app, "Close now")
    assert state.asked[0][1:3] == ("/v1/incidents/inc_1/close", {"reason": "delisted"})
    assert "A mail1.example.test" in list(app.table[0].value["Record"])


def test_retiring_asks_and_wants_a_reason(page: Open, state: State) -> None:
    state.add_ip("active")
    app = button(page(ip=ADDRESS), "Retire")
    assert "does not come back" in said(app)
    app = button(app, "Retire now")
    assert state.asked == []
    app.text_input(key="retire_reason").input("sold")
    app = button(app, "Retire now")
    method, path, body, key = state.asked[0]
    assert (method, path, body) == ("POST", f"/v1/ips/{ADDRESS}/retire", {"reason": "sold", "keep": False})
    assert key
    assert "is retired" in said(app)


def test_the_blocklists_are_looked_at_again_on_demand(page: Open, state: State) -> None:
    state.add_ip("active")
    app = button(page(places.REPUTATION, ip=ADDRESS), "Look again now")
    assert state.asked[0][1] == f"/v1/ips/{ADDRESS}/reputation/check"
    assert "is under way" in said(app)


def typed(app: AppTest, text: str) -> AppTest:
    """Types into the IP picker; the test engine only knows of options that are in its list."""
    picker = next(one for one in app.selectbox if one.label == "IP")
    picker.options.append(text)
    return picker.set_value(text).run()


def test_any_ip_of_a_large_fleet_is_found_by_a_part_of_its_name(page: Open, state: State) -> None:
    for number in range(300):
        state.add_ip("active", f"198.51.{number // 100}.{number % 100}")["hostname"] = f"mta{number}.example.test"
    app = page(places.DNS)
    assert len(next(one for one in app.selectbox if one.label == "IP").options) == 20
    app = typed(app, "mta299.")
    assert app.query_params["ip"] in ("198.51.2.99", ["198.51.2.99"])
    assert "match “mta1”" in said(typed(app, "mta1"))
    assert "No IP has “nothing-like-it”" in said(typed(app, "nothing-like-it"))


def test_what_was_read_last_stands_in_and_says_how_old_it_is(page: Open, state: State) -> None:
    state.add_ip("active")
    assert "Stale" not in said(page(ip=ADDRESS))
    state.down = True
    text = said(page(ip=ADDRESS))
    assert "△ Stale: the API does not answer" in text
    assert "What you see is what the API said" in text
    assert "whoever runs this installation must look at it" in text
    assert ADDRESS in text


def test_an_order_that_cannot_be_cancelled_says_so(page: Open, state: State) -> None:
    state.orders["order-1"] = quoted({"hostname": "mail1.example.test", "count": 1}, 1)
    state.refuse["POST", "/v1/orders/order-1/cancel"] = (409, {"title": "Refused", "detail": "It is being bought."})
    assert "It is being bought." in said(button(page(places.PAYMENT, order="order-1"), "Cancel order"))


@pytest.mark.parametrize("said", ['=HYPERLINK("http://evil.example","x")', "+1+cmd|' /C calc'!A0", "@SUM(1)", "-2+3"])
def test_what_a_foreign_server_said_is_no_formula_in_a_spreadsheet(said: str) -> None:
    (row,) = csv.DictReader(
        io.StringIO(paging.as_csv([{"said": said, "count": -5, "rate": "-", "ip": "198.51.100.7"}]))
    )
    assert row == {"said": f"'{said}", "count": "-5", "rate": "-", "ip": "198.51.100.7"}


def test_an_export_holds_the_whole_list(state: State) -> None:
    for number in range(700):
        state.add_ip("active", f"198.51.{number // 250}.{number % 250}")
    api = Api(os.environ["WARMPATH_API_URL"], TOKEN)
    text = paging.everything(api, "/v1/ips", "after", lambda ip: {"IP": ip["address"]})()
    assert len(text.splitlines()) == 701


def test_a_campaign_is_made_paused_and_resumed(page: Open, state: State) -> None:
    app = page(places.CAMPAIGNS)
    assert "There is none yet" in said(app)
    app = button(app, "Make campaign")
    assert "Enter a name." in said(app)
    assert state.asked == []
    app.text_input(key="campaign_name").input("spring")
    app = button(app, "Make campaign")
    assert state.asked[0][1:3] == ("/v1/campaigns", {"name": "spring", "sender": "acme"})
    app = button(app, "Pause")
    assert "stops at the gate" in said(app)
    app.text_input(key="campaign_pause_reason").input("wrong list")
    app = button(app, "Pause now")
    assert state.asked[-1][2] == {"scope": {"campaign": "spring"}, "reason": "wrong list"}
    assert "! Paused] by first operator: wrong list" in said(app)
    app = button(app, "Resume")
    app.text_input(key="resume_mail_reason").input("list mended")
    app = button(app, "Resume campaign spring now")
    assert state.asked[-1][1:3] == (
        "/v1/campaigns/resume",
        {"scope": {"campaign": "spring"}, "reason": "list mended"},
    )
    assert "✓ Active" in said(app)
    app = button(app, "Finish")
    app.text_input(key="campaign_finish_reason").input("sold out")
    app = button(app, "Finish now")
    assert state.asked[-1][1:3] == ("/v1/campaigns/spring/finish", {"reason": "sold out"})
    assert "■ Finished" in said(app)
    assert "Finish" not in [one.label for one in app.button]
    assert "Resume" in [one.label for one in app.button]


def test_optional_dns_records_go_with_the_order_and_are_changed_later(page: Open, state: State) -> None:
    app = filled(page(places.ACQUIRE))
    app.selectbox(key="purchase_mta_sts").select("testing")
    app.text_input(key="purchase_tls_rpt").input("tls@example.test, https://r.example.test/in")
    button(app, "Save IP Configuration")
    assert state.asked[0][2]["dns"] == {
        "mta_sts": {"mode": "testing"},
        "tls_rpt": ["tls@example.test", "https://r.example.test/in"],
    }
    state.asked.clear()
    state.add_ip("active")
    state.refuse["PATCH", f"/v1/ips/{ADDRESS}/dns"] = (
        422,
        {"title": "Refused", "detail": "No logo.", "errors": [{"field": "options.bimi.logo", "message": "not an svg"}]},
    )
    app = page(places.RECORDS, ip=ADDRESS)
    app.text_input(key=f"wishes:{ADDRESS}_bimi").input("https://example.test/logo.png")
    app = button(app, "Save optional records")
    assert state.asked[0][2]["options"]["bimi"] == {"logo": "https://example.test/logo.png"}
    assert "✕ not an svg" in said(app)
    assert app.text_input(key=f"wishes:{ADDRESS}_bimi").value == "https://example.test/logo.png"


def test_figures_are_taken_apart_as_asked(page: Open, state: State) -> None:
    assert "No mail was reported" in "".join(one.value for one in page(places.PERFORMANCE).info)
    state.add_ip("warming")
    state.add_warmup()
    app = page(places.PERFORMANCE)
    shown = {one.label: one.value for one in app.metric}
    assert shown["Volume"] == "1,234"
    assert shown["Bounce"] == "1.01 %"
    assert shown["Complaint"] == "–"
    assert list(app.dataframe[0].value["IP"]) == [ADDRESS]
    assert "Cap against sent" in said(app)
    app = next(one for one in app.button_group if one.label == "Taken apart by").set_value("campaign").run()
    assert list(app.dataframe[0].value["Campaign"]) == ["not named"]


def test_a_trouble_strikes_where_the_ip_stood() -> None:
    def states(*stages: str) -> dict[str, str]:
        history = [{"stage": stage, "at": "2026-03-01T00:00:00Z"} for stage in stages]
        return {step["name"]: step["state"] for step in journey.steps("at_risk", history)}

    assert states("active", "warming", "at_risk")["Warmup"] == "trouble"
    assert states("active", "warming", "at_risk")["Full Capacity"] == "ahead"
    assert states("warming", "full_capacity", "at_risk")["Monitoring"] == "trouble"
    assert states()["Monitoring"] == "trouble"


@pytest.mark.parametrize(
    ("stage", "badge"), [("active", "Active"), ("warming", "Active"), ("awaiting_dns", "Awaiting DNS")]
)
def test_the_status_stands_in_its_exact_word(page: Open, state: State, stage: str, badge: str) -> None:
    state.add_ip(stage)
    shown = [str(one.value) for one in page(ip=ADDRESS).markdown if "-badge[" in str(one.value)]
    assert any(f"-badge[{badge}]" in one for one in shown), shown


def test_a_newcomer_is_told_which_domains_a_sandbox_has(page: Open, state: State) -> None:
    text = said(page(places.ACQUIRE))
    for domain in (*zones.AUTOMATIC_DOMAINS, *zones.MANUAL_DOMAINS):
        assert domain in text
    state.profile = "live"
    assert "sandbox" not in "".join(one.value for one in page(places.ACQUIRE).caption)


def test_the_first_page_that_a_fresh_console_opens_stands_whole(state: State) -> None:
    app = AppTest.from_file(str(APP), default_timeout=20).switch_page(places.file_of(places.AUDIT)).run()
    assert [one.value for one in app.title] == ["Audit"]
    assert "Pause All Campaigns" in [one.label for one in app.button]


def test_what_no_blocklist_was_asked_about_is_not_called_clean(page: Open, state: State) -> None:
    state.add_ip("active")
    text = said(page(places.REPUTATION, ip=ADDRESS))
    assert "No blocklist was asked yet" in text
    assert "On no blocklist" not in text


@pytest.mark.parametrize("file", [None, places.DNS, places.REPUTATION])
def test_a_link_may_spell_an_address_in_another_way(page: Open, state: State, file: str | None) -> None:
    state.add_ip("active", "198.51.100.1")
    state.add_ip("active", "2001:db8::7")
    app = page(file, ip="2001:0DB8:0:0::0007")
    assert not app.error
    if file is None:
        assert "2001:db8::7" in [one.value for one in app.subheader]
    else:
        assert app.query_params["ip"] in ("2001:db8::7", ["2001:db8::7"])


def test_short_days_are_counted_and_real_ones_dated(page: Open, state: State) -> None:
    state.add_ip("active")
    assert "Full capacity: most likely on 2026-03-20, at best on 2026-03-18" in said(page(places.WARMUP, ip=ADDRESS))
    state.day_seconds = 5
    assert "Full capacity: most likely on day 20, at best on day 18, with setbacks on day 27" in said(
        page(places.WARMUP, ip=ADDRESS)
    )


def test_figures_lead_to_the_replies_behind_them(page: Open, state: State) -> None:
    state.add_ip("warming")
    state.add_warmup()
    links = [one.proto.label for one in page(places.PERFORMANCE).get("page_link")]
    assert "Reply Explorer: what the mail servers said" in links


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
