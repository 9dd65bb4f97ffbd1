"""Danger asks once, on the page itself, in words that name the consequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from ui.client import JsonValue, Problem
from ui.pieces import session
from ui.pieces.guard import trouble

#: Where a session keeps what was refused of its forms, by their names.
REFUSALS = "refusals"


def open_question(name: str, subject: str) -> None:
    """Opens a question about an IP or an order; only one is open at a time."""
    close()
    st.session_state["question"] = (name, subject)


def button(label: str, name: str, subject: str, why: str | None = None, **look: JsonValue) -> None:
    """A button that opens a question; disabled with the reason where the thing may not be done."""
    why = why or session.barred()
    if st.button(label, disabled=why is not None, help=why, on_click=open_question, args=(name, subject), **look):
        # Pressed inside a part that refreshes by itself, only that part would be drawn anew, without the question.
        st.rerun()


def close() -> None:
    """The question is answered, or dropped; the next one begins without a refusal."""
    st.session_state.pop("question", None)
    st.session_state.pop(REFUSALS, None)


def is_open(name: str, subject: str) -> bool:
    """Whether this question is the open one."""
    return bool(st.session_state.get("question") == (name, subject))


def opened() -> tuple[str, str]:
    """The open question and what it is about; empty words when none is open."""
    name, subject = st.session_state.get("question") or ("", "")
    return str(name), str(subject)


@contextmanager
def question(title: str, forget: Callable[[], None] | None = None) -> Iterator[None]:
    """A box with the question; what is drawn inside comes before its *Not now*.

    Args:
        forget: drops what was typed, when the question is dropped.
    """

    def drop() -> None:
        close()
        if forget is not None:
            forget()

    with st.container(border=True):
        st.markdown(f"**{title}**")
        try:
            yield
        except Problem as problem:
            trouble(problem)  # the way out below it stays
        st.button("Not now", on_click=drop, key=f"not_now:{title}")
