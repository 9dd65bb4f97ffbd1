"""One IP as a mail system needs it."""

from __future__ import annotations

from dataclasses import dataclass

from domain.words import MailboxProvider


@dataclass(frozen=True, slots=True)
class Source:
    """A source of mail.

    Attributes:
        bind_address: the address that the mail system binds to; differs from ``address`` behind NAT.
        hostname: the HELO name, equal to the PTR.
        warm: at full capacity; else it is warming.
        cap: mails that it may send today; None when no day is open.
        safe_limit: mails a day once it is fully warmed.
        hourly_cap: mails that it may send in an hour of today; 0 for no cap of the hour.
        provider_caps: mails that it may send today to a mailbox provider, where that has a cap of its own.
    """

    address: str
    bind_address: str
    hostname: str
    pool: str
    warm: bool = False
    cap: int | None = None
    safe_limit: int = 0
    hourly_cap: int = 0
    provider_caps: tuple[tuple[MailboxProvider, int], ...] = ()

    @property
    def today(self) -> int:
        """Mails that it may send today; a warm IP without an open day gets one, with its safe limit, on demand."""
        if self.cap is not None:
            return max(0, self.cap)
        return self.safe_limit if self.warm else 0

    @property
    def warmed_percent(self) -> int:
        """How far it is warmed, 0 to 100: its cap of the safe limit, rounded down.

        A warming IP is never 100, because that ends a warm-up, and never 0 while it may send, because that starts none.
        """
        if self.warm:
            return 100
        if self.today == 0 or self.safe_limit <= 0:
            return 0
        return min(99, max(1, 100 * self.today // self.safe_limit))
