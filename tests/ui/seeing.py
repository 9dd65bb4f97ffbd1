"""What a person sees of a page and presses on it."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest


def said(app: AppTest) -> str:
    """All sentences on a page."""
    parts = [
        *app.markdown,
        *app.info,
        *app.success,
        *app.warning,
        *app.error,
        *app.caption,
        *app.header,
        *app.title,
    ]
    return "\n".join(str(part.value) for part in parts)


def button(app: AppTest, label: str) -> AppTest:
    """Presses a button by the name a person sees."""
    found = [one for one in app.button if one.label == label]
    assert found, f"no button {label!r} among {[one.label for one in app.button]}"
    return found[0].click().run()


def labelled(app: AppTest, label: str) -> Any:
    """A button by the name a person sees."""
    return next(one for one in app.button if one.label == label)
