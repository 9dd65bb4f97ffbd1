"""Sums of what happened to mail, and how they add up."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Figures(BaseModel):
    """Counts of recipients over some time; the rates of the daily decision are made from them."""

    attempted: int = Field(0, ge=0, description="Recipients that delivery was tried for.")
    delivered: int = Field(0, ge=0)
    bounced: int = Field(0, ge=0, description="Address-hard bounces only.")
    blocked: int = Field(0, ge=0, description="Replies that block the IP; never part of the bounce rate.")
    failed: int = Field(0, ge=0, description="Other final failures: full mailboxes, policy, set-up; in no rate.")
    deferred: int = Field(0, ge=0, description="Recipients deferred at least once.")
    complained: int = Field(0, ge=0, description="Spam complaints, booked on the send day of the mail.")

    limited: int = Field(0, ge=0, description="Deferrals whose reply limits the rate of the IP; part of `deferred`.")
    opened: int = Field(0, ge=0, description="Mails opened, once a recipient of a message, on the day of the opening.")
    replied: int = Field(0, ge=0, description="Mails answered by a person, counted as openings are.")

    def __add__(self, other: Figures) -> Figures:
        """Sum of two spans of time or two providers."""
        return Figures(**{name: getattr(self, name) + getattr(other, name) for name in Figures.model_fields})

    def with_attempts(self) -> Figures:
        """A source that reports results but no attempts has its results counted as attempts.

        A recipient that was deferred was tried, and may have a result beside.
        """
        results = self.delivered + self.bounced + self.blocked + self.failed
        return self.model_copy(update={"attempted": max(self.attempted, results, self.deferred)})
