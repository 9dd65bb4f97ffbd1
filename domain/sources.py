"""One IP as a mail system needs it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """A source of mail.

    Attributes:
        bind_address: the address that the mail system binds to; differs from ``address`` behind NAT.
        hostname: the HELO name, equal to the PTR.
        warm: at full capacity; else it is warming.
        cap: mails that it may send today; None when no day is open.
    """

    address: str
    bind_address: str
    hostname: str
    pool: str
    warm: bool = False
    cap: int | None = None
