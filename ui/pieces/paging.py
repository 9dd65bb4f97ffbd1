"""Lists that the server pages: where one stands in a list, and the whole of it as a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from ui.client import Api
from ui.pieces import words

#: Rows of an export; more belongs to a script that reads the API.
MOST_EXPORTED = 20_000

#: Rows of a page of a list that came as a whole.
ROWS = 25

Row = Callable[[dict[str, Any]], dict[str, Any]]


class Pager:
    """The cursors of the pages seen so far; another question begins again at the first page."""

    def __init__(self, name: str, question: object) -> None:
        self._key = f"pager:{name}"
        if st.session_state.get(f"{self._key}:question") != question:
            st.session_state[f"{self._key}:question"] = question
            st.session_state[self._key] = [None]

    @property
    def _cursors(self) -> list[str | None]:
        cursors: list[str | None] = st.session_state.setdefault(self._key, [None])
        return cursors

    @property
    def cursor(self) -> str | None:
        """The cursor of the page to show; None for the first."""
        return self._cursors[-1]

    @property
    def page(self) -> int:
        """Number of the page, from 1."""
        return len(self._cursors)

    def buttons(self, following: str | None, export: Callable[[], str], file_name: str) -> None:
        """Previous, Next and Export CSV; the export holds the whole list, not only this page."""
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button("Previous", disabled=self.page < 2, key=f"{self._key}:previous", on_click=self._back)
            st.button("Next", disabled=not following, key=f"{self._key}:next", on_click=self._on, args=(following,))
            st.download_button(
                "Export CSV", export, file_name, "text/csv", key=f"{self._key}:export", on_click="ignore",
                help="The whole list as filtered, not only this page.",
            )  # fmt: skip
            if self.page > 1 or following:
                st.caption(f"Page {self.page}", width="content")

    def _back(self) -> None:
        self._cursors.pop()

    def _on(self, following: str) -> None:
        self._cursors.append(following)


def whole(
    noun: str,
    items: list[dict[str, Any]],
    query: str,
    text: Callable[[dict[str, Any]], object],
    draw: Callable[[dict[str, Any]], None],
    row: Row,
) -> None:
    """A list that came as a whole: what the search finds of it, a page at a time, and all of that as a file.

    Args:
        noun: what one of the list is called.
        text: what of one is searched.
        draw: draws one.
        row: makes a row of the file of one.
    """
    found = [one for one in items if query.lower() in str(text(one)).lower()]
    if not found:
        st.info(f"No {noun} matches. Clear the search.")
        return
    pager = Pager(f"{noun}s", query)
    start, end = int(pager.cursor or 0), int(pager.cursor or 0) + ROWS
    for one in found[start:end]:
        draw(one)
    pager.buttons(
        str(end) if end < len(found) else None,
        lambda: as_csv([row(one) for one in found]),
        f"{noun}s.csv",
    )


def frame(rows: list[dict[str, Any]], *numbers: str) -> pd.DataFrame:
    """Rows for a table that sorts these columns as numbers; what is not known is empty, whatever else stands there."""
    made = pd.DataFrame(rows)
    for name in numbers:
        made[name] = pd.to_numeric(made[name]).astype("Float64")
    return made


def grouped(text: str | None = None) -> ColumnConfig:
    """A column of whole numbers grouped by commas, explained by a text on hover."""
    return st.column_config.NumberColumn(format="localized", help=text)


def per_cent(text: str | None = None) -> ColumnConfig:
    """A column of parts of a hundred, explained by a text on hover."""
    return st.column_config.NumberColumn(format="%.2f %%", help=text)


def times(*names: str) -> dict[str, ColumnConfig]:
    """Columns of times, by name: read as time that has passed, sorted as times, exact in the export."""
    shown = st.column_config.DatetimeColumn(
        format="distance", timezone="UTC", help="Sorts by time. The export has the exact time, in UTC."
    )
    return dict.fromkeys(names, shown)


def table(rows: list[dict[str, Any]]) -> None:
    """A short table whose rows wrap, so that no sentence is cut; shown as it stands, without markup."""
    st.table(
        pd.DataFrame([{name: words.literal(value) for name, value in row.items()} for row in rows]), hide_index=True
    )


#: What a spreadsheet takes for a formula where a cell begins with it; a reply of a foreign server may.
_FORMULA = re.compile(r"[=+\-@\t\r].")


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Rows as CSV that a spreadsheet shows and never runs: such a text gets an apostrophe before it."""
    return pd.DataFrame([{name: _shown(value) for name, value in row.items()} for row in rows]).to_csv(index=False)


def _shown(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def export(rows: list[dict[str, Any]], file_name: str) -> None:
    """**Export CSV** of a table that is shown as a whole."""
    st.download_button(
        "Export CSV", lambda: as_csv(rows), file_name, "text/csv", on_click="ignore",
        key=f"export:{file_name}",
    )  # fmt: skip


def everything(api: Api, path: str, row: Row, **question: str | int | None) -> Callable[[], str]:
    """A function that reads a whole list, page by page, and gives it as CSV.

    Args:
        row: makes a row of the file of an item.
    """

    def read() -> str:
        rows: list[dict[str, Any]] = []
        following: str | None = None
        while len(rows) < MOST_EXPORTED:
            found = api.get(path, **question, after=following, limit=500)
            rows += [row(item) for item in found.get("items", [])]
            following = found.get("next")
            if not following:
                break
        return as_csv(rows)

    return read
