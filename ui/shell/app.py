"""The console's first file: who is signed in, the groups of pages, the attention strip, the guard."""

from __future__ import annotations

import contextlib
from typing import Any

import streamlit as st

from ui.client import Api, Problem
from ui.pieces import attention, forms, pausing, places, session, words
from ui.pieces.guard import guarded

GROUPS: dict[str, tuple[str, ...]] = {
    "Fleet": (places.FLEET,),
    "Set up": (places.ACQUIRE, places.PAYMENT, places.RECORDS, places.DNS),
    "Send": (places.WARMUP, places.CAMPAIGNS, places.PERFORMANCE, places.REPLIES),
    "Protect": (places.REPUTATION,),
    "Account": (places.AUDIT, places.TOKENS, places.SETTINGS),
}

#: Streamlit leaves a hand's breadth empty above a page and makes titles huge; the strip belongs in sight.
STYLE = """<style>
.block-container { padding: 3rem 2rem 2rem 2rem !important; }
[data-testid="stMain"] [data-testid="stPageLink"] p { text-decoration: underline; text-underline-offset: 3px; }
[data-testid="stMain"] [data-testid="stPageLink-NavLink"]:not(:hover) { background: transparent !important; }
[data-testid="stMain"] table td:first-child { overflow-wrap: anywhere; min-width: 6.5rem; }
h1 { font-size: 1.9rem !important; padding: 0.2rem 0 0.4rem 0 !important; }
h2 { font-size: 1.5rem !important; }
/* Streamlit's grey of small text is too pale on white, and its blue of what is chosen too dark on black. */
[data-testid="stCaptionContainer"] { opacity: 0.78 !important; }
button[data-variant], [data-testid="stTab"] { color: inherit !important; }
.st-key-all_paused_banner { border-left: 6px solid #d1453b; background: rgba(209, 69, 59, 0.10); }
[data-testid="stMetric"], [data-testid="stMetric"] > div { padding: 0.3rem 0.6rem !important; }
[data-testid="stMetric"], [data-testid="stMetric"] > div { min-height: 0 !important; }
[data-testid="stMetricValue"], [data-testid="stMetricValue"] * { font-size: 1.5rem !important; }
[data-testid="stMetricValue"], [data-testid="stMetricValue"] * { white-space: normal !important; }
/* A span of time stays in one line. */
[data-testid="stMarkdown"] span[title] { white-space: nowrap; }
/* A column that holds nothing but a button is never narrower than its words. */
[data-testid="stColumn"]:has([data-testid="stButton"]):not(:has([data-testid="stMarkdown"], input, textarea)) {
  min-width: max-content !important;
}
/* What happened and the way there stand side by side, however long the first is. */
@media (min-width: 768px) {
  [data-testid="stHorizontalBlock"]:has(> [data-testid="stColumn"] [data-testid="stButton"]) {
    flex-wrap: nowrap !important;
  }
  [class*="st-key-beside_"] { flex-wrap: nowrap !important; }
  [class*="st-key-beside_"] > :first-child { flex: 1 1 0 !important; min-width: 0 !important; }
  [class*="st-key-beside_"] > :last-child { flex: 0 0 auto !important; }
}
/* In a narrow window the bar with the menu's button covers the top, and Streamlit puts every column in a row of its
   own: figures and buttons stand two in a row, or a list of ten is twenty screens long. */
@media (max-width: 767px) {
  .block-container { padding: 4.2rem 1rem 2rem 1rem !important; }
  h1 { font-size: 1.6rem !important; }
  [data-testid="stColumn"]:not(:has(input, textarea)):has([data-testid="stMetric"], [data-testid="stButton"]) {
    min-width: calc(50% - 1rem) !important; flex: 1 1 calc(50% - 1rem) !important;
  }
}
</style>"""


def _fleet(api: Api) -> dict[str, Any] | None:
    """What the API says of this installation; None when it does not answer, which the page itself says."""
    try:
        return api.find("/v1/fleet") or {}
    except Problem:
        return None


def _installation(fleet: dict[str, Any] | None) -> None:
    """Which installation this is, in sight on every page."""
    if fleet is None:
        st.badge("? Not known now", color="gray")
    else:
        st.badge(str(fleet.get("installation") or "SANDBOX"), color="violet")


def _ways_out(fleet: dict[str, Any] | None) -> None:
    """To the Temporal UI, and out of the console."""
    if fleet and fleet.get("temporal_ui_url"):
        st.link_button("Temporal UI", fleet["temporal_ui_url"])
    if st.session_state.get("token"):
        st.button("Sign out", on_click=session.sign_out)


def _whose() -> None:
    """What the one who is signed in may do; nothing while the API does not say."""
    with contextlib.suppress(Problem, KeyError):
        st.caption(words.role(session.role()))


def main() -> None:
    """Draws one run of the console."""
    st.set_page_config(page_title="Warmpath", page_icon="📮", layout="wide")
    with guarded():
        st.html(STYLE)
        if not session.signed_in():
            st.navigation([st.Page(session.sign_in, title="Sign in")], position="hidden").run()
            return
        api = session.api()
        page = st.navigation(
            {
                group: [
                    st.Page(
                        places.file_of(file),
                        title=places.NAMES[file],
                        url_path=places.NAMES[file].lower().replace(" ", "-"),
                        default=file == places.FLEET,
                    )
                    for file in pages
                ]
                for group, pages in GROUPS.items()
            },
            # Otherwise Streamlit hides the last pages behind "View more" as soon as there are many.
            expanded=True,
        )
        forms.entered(page.url_path)
        fleet = _fleet(api)
        with st.sidebar:
            _ways_out(fleet)
            _whose()
            st.caption("Warmpath console")
        pausing.banner(api)
        attention.strip(api)
        pausing.question(api)
        session.show_said()
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.title(page.title, width="stretch")
            _installation(fleet)
            pausing.button(api)
        page.run()


main()
