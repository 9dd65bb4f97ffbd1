"""Fixtures that several journeys' tests share."""

from tests.workflows.shop import shop

__all__ = ["shop"]
