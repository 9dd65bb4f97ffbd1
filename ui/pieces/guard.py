"""Never a trace: whatever goes wrong on a page becomes a sentence with what to do."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import ParamSpec

import streamlit as st

from ui.client import Problem, look
from ui.pieces import words

P = ParamSpec("P")

log = logging.getLogger("warmpath.console")

#: Seconds between two looks of a fragment that shows live figures.
LIVE_SECONDS = 4
#: The same for what costs the store more to sum up and changes by the hour.
SLOW_SECONDS = 30


def trouble(problem: Problem, *, again: bool = False) -> None:
    """The API's own sentence, and what to do about it.

    Args:
        again: it happened in a part that refreshes by itself; nothing presses a button again.
    """
    advice = {
        0: "The page tries again by itself." if again else "",
        401: "Sign in again with a valid token.",
        403: "Ask an administrator for a token with the role this needs.",
        404: "Check the address, or choose one from the list.",
        429: "Wait a minute; the page tries again by itself." if again else "Wait a minute, then try again.",
    }.get(problem.status, "")
    # A role is no trouble: nothing is wrong and nothing has to be done now.
    # An answer may repeat what was typed or what a server said; what the console says itself has status 0.
    said = words.literal(problem.detail) if problem.status else problem.detail
    (st.info if problem.status == 403 else st.error)(f"{said} {advice}".strip())


def fault(problem: Problem | None, *names: str, before: str = "") -> bool:
    """What was refused about a field, asked by any of its names, right below it; whether anything was.

    Args:
        before: what stands before the refusal, in markdown.
    """
    text = problem.at(*names) if problem else None
    if text:
        st.markdown(f":red[✕ {before}{words.literal(text)}]")
    return bool(text)


@contextlib.contextmanager
def guarded(*, again: bool = False) -> Iterator[None]:
    """Shows a sentence in place of anything that fails inside; ``again`` as in :func:`trouble`."""
    try:
        yield
    except Problem as problem:
        trouble(problem, again=again)
        if problem.status == 401 and "token" in st.session_state:
            st.session_state.pop("token")
            st.session_state["signed_out"] = problem.detail
            st.rerun()
    except Exception:
        log.exception("a page failed")
        st.error(
            "This part of the page could not be shown. Nothing was changed by it. "
            "Reload the page; if it stays, the console's log has the details."
        )


def _age(seconds: int) -> None:
    """One line: how old what is shown above it is."""
    moment = look.stale_since
    if moment is None:
        st.caption(f"Data of {datetime.now(UTC):%H:%M:%S} UTC, refreshed every {seconds} s.")
        return
    st.warning(
        f"△ Stale: the API does not answer. This is what it said {words.ago(moment.isoformat())}, at "
        f"{words.exact(moment.isoformat())}. It is asked again every {seconds} s."
    )


def _refreshed(part: Callable[P, None], *, says_age: bool, seconds: int = LIVE_SECONDS) -> Callable[P, None]:
    @functools.wraps(part)
    def shown(*given: P.args, **named: P.kwargs) -> None:
        look.begin()
        with guarded(again=True):
            part(*given, **named)
            if says_age:
                _age(seconds)

    return st.fragment(shown, run_every=seconds)


def live(part: Callable[P, None]) -> Callable[P, None]:
    """A part of a page that refreshes by itself, keeps focus and input elsewhere, and says how old it is."""
    return _refreshed(part, says_age=True)


def live_slowly(part: Callable[P, None]) -> Callable[P, None]:
    """The same as :func:`live` for a part whose figures are costly and change slowly."""
    return _refreshed(part, says_age=True, seconds=SLOW_SECONDS)


def live_head(part: Callable[P, None]) -> Callable[P, None]:
    """A part that refreshes by itself, above another one on the same page that says how old both are."""
    return _refreshed(part, says_age=False)
