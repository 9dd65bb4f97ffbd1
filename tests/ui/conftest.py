"""Pages run against a real HTTP server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.ui import double
from ui.pieces import places

APP = Path(__file__).parents[2] / "ui" / "shell" / "app.py"


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[double.State]:
    """What the double holds; the console is pointed at it and signed in."""
    st.cache_resource.clear()
    with double.running() as (url, held):
        monkeypatch.setenv("WARMPATH_API_URL", url)
        monkeypatch.setenv("WARMPATH_TOKEN", double.TOKEN)
        monkeypatch.setenv("WARMPATH_VAR_DIR", str(tmp_path))
        yield held


@pytest.fixture
def page(state: double.State) -> Callable[..., AppTest]:
    """Opens a page of the console by its file, with query parameters."""

    def opened(file: str | None = None, **query: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=20)
        if file and file != places.FLEET:
            # Pages are known once the console has been drawn.
            app = app.run().switch_page(places.file_of(file))
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    return opened
