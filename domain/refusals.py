"""One way to say no: what is wrong, where, and how to put it right."""

from __future__ import annotations


class Refused(Exception):
    """A command or input that changes nothing.

    Args:
        detail: one sentence for a person, with the fix.
        field: the input at fault, as the caller spelled it (``smtp.host``), if it is one.
        code: a stable word for programs (``duplicate``, ``out_of_bounds``, ``wrong_stage``).
    """

    def __init__(self, detail: str, *, field: str | None = None, code: str = "invalid") -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.code = code


class Conflict(Refused):
    """The input is fine, the state is not: the journey refuses it now (HTTP 409)."""


class NotFound(Refused):
    """There is no such thing (HTTP 404)."""
