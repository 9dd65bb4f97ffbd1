"""One form: what was typed in it, what was refused of it at which field, and what happens when it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import streamlit as st

from ui.client import Problem
from ui.pieces import asking, session
from ui.pieces.guard import fault, trouble


def entered(page: str) -> None:
    """A page is drawn; when it is another one, what was asked and refused on the last one is over."""
    if st.session_state.get("page") != page:
        st.session_state["page"] = page
        asking.close()


#: In the box of a reason that may be left out: a command that stops nothing and is easily mended.
OPTIONAL = "Kept in the audit; may stay empty"


class Form:
    """A form by its name, from one drawing of the page to the next."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.refused: Problem | None = st.session_state.get(asking.REFUSALS, {}).get(name)
        self._keys: list[str] = []
        self._told = False

    def key(self, field: str) -> str:
        """The key of a field."""
        self._keys.append(f"{self.name}_{field}")
        return self._keys[-1]

    def fault(self, *names: str, before: str = "") -> None:
        """What was refused about a field; see :func:`ui.pieces.guard.fault`."""
        self._told |= fault(self.refused, *names, before=before)

    def name_field(self, example: str, text: str | None = None) -> str:
        """The name of what is made."""
        name = st.text_input("Name", key=self.key("name"), placeholder=example, max_chars=100, help=text).strip()
        self.fault("name")
        return name

    def new_name(self, name: str, known: list[str]) -> None:
        """Refuses a name that is missing or given already."""
        self.incomplete({} if name else {"name": "Enter a name."})
        self.incomplete({"name": f"{name} is there already; press Edit."} if name in known else {})

    def reason(self, usual: str = "", told: str = "Kept in the audit") -> str:
        """Why, for the audit."""
        reason = st.text_input("Reason", key=self.key("reason"), value=usual, max_chars=500, placeholder=told).strip()
        self.fault("reason")
        return reason

    def reasoned(self, reason: str) -> None:
        """Refuses where no reason is given."""
        self.incomplete({} if reason else {"reason": "Give a reason; it is kept in the audit."})

    def rest(self) -> None:
        """The refusal, where no field has said it."""
        if self.refused and not self._told:
            trouble(self.refused)

    def button(self, label: str, why: str | None = None) -> bool:
        """The rest of the refusal, and the button that sends; disabled with the reason where that may not be done."""
        self.rest()
        why = session.barred() or why
        return st.form_submit_button(label, type="primary", disabled=why is not None, help=why)

    def refuse(self, problem: Problem) -> NoReturn:
        """Draws the page anew with the refusal; what was typed stays."""
        st.session_state.setdefault(asking.REFUSALS, {})[self.name] = problem
        st.rerun()

    def incomplete(self, missing: dict[str, str]) -> None:
        """Refuses what the page itself sees: field name to what to do."""
        if missing:
            self.refuse(Problem(422, "Incomplete", "Some fields are missing or wrong.", missing))

    def forget(self) -> None:
        """Nothing of the form stays in the browser session."""
        for key in self._keys:
            st.session_state.pop(key, None)
        st.session_state.get(asking.REFUSALS, {}).pop(self.name, None)

    def send(self, command: Callable[[], object], done: str, *, answers: bool = False) -> NoReturn:
        """Gives the command, and draws the page anew with what happened and a link to the journey that it answers.

        Args:
            answers: the form stands in the open question, which is answered then.
        """
        try:
            answer = command()
        except Problem as problem:
            self.refuse(problem)
        self.forget()
        if answers:
            asking.close()
        session.say(done, about=answer)
        st.rerun()

    def command(self, press: str, give: Callable[[str], object], done: str, usual: str = "") -> None:
        """A reason, kept in the audit, and the button that gives the command with it."""
        reason = self.reason(usual)
        self.rest()
        if not st.button(press, type="primary"):
            return
        self.reasoned(reason)
        with st.spinner("Telling the journey ..."):
            self.send(lambda: give(reason), done, answers=True)


@contextmanager
def folded(title: str, form: Form) -> Iterator[None]:
    """A form that is folded away until it is wanted, and open while something is refused of it."""
    with (
        st.expander(title, expanded=form.refused is not None),
        st.form(form.name, border=False, enter_to_submit=False),
    ):
        yield


@contextmanager
def editing(title: str, form: Form) -> Iterator[None]:
    """A form that is open because **Edit** was pressed; *Not now* drops what was typed."""
    with asking.question(title, forget=form.forget), st.form(form.name, border=False, enter_to_submit=False):
        yield
