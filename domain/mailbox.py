"""Which mailbox provider a recipient belongs to: by the MX host, or by a consumer domain."""

from __future__ import annotations

import functools

from domain.words import MailboxProvider

#: Ends of MX host names. Sources: the providers' published MX records.
MX_SUFFIXES = {
    "google.com": MailboxProvider.GMAIL,
    "googlemail.com": MailboxProvider.GMAIL,
    "outlook.com": MailboxProvider.MICROSOFT,
    "hotmail.com": MailboxProvider.MICROSOFT,
    "mx.microsoft": MailboxProvider.MICROSOFT,
    "yahoodns.net": MailboxProvider.YAHOO,
    "icloud.com": MailboxProvider.APPLE,
    "apple.com": MailboxProvider.APPLE,
}

#: Consumer domains whose MX is known without asking; national variants share the first label.
_FIRST_LABELS = {
    "gmail": MailboxProvider.GMAIL,
    "googlemail": MailboxProvider.GMAIL,
    "hotmail": MailboxProvider.MICROSOFT,
    "outlook": MailboxProvider.MICROSOFT,
    "live": MailboxProvider.MICROSOFT,
    "msn": MailboxProvider.MICROSOFT,
    "yahoo": MailboxProvider.YAHOO,
    "ymail": MailboxProvider.YAHOO,
    "rocketmail": MailboxProvider.YAHOO,
    "aol": MailboxProvider.YAHOO,
    "icloud": MailboxProvider.APPLE,
    "me": MailboxProvider.APPLE,
    "mac": MailboxProvider.APPLE,
}
_NATIONAL = frozenset({MailboxProvider.MICROSOFT, MailboxProvider.YAHOO})
_ONLY_COM = frozenset({"gmail", "googlemail", "icloud", "me", "mac", "msn", "ymail", "rocketmail"})


def by_mx(hosts: list[str]) -> MailboxProvider:
    """The provider of the first MX host that is known; hosts in order of preference."""
    for host in hosts:
        name = host.rstrip(".").lower()
        for suffix, provider in MX_SUFFIXES.items():
            if name == suffix or name.endswith("." + suffix):
                return provider
    return MailboxProvider.OTHER


def by_recipient(recipient: str) -> MailboxProvider:
    """The provider of a consumer address; ``OTHER`` when only its MX could tell."""
    return _by_domain(recipient.rpartition("@")[2])


@functools.lru_cache(4096)
def _by_domain(domain: str) -> MailboxProvider:
    labels = domain.rstrip(".").lower().split(".")
    if not 2 <= len(labels) <= 3:
        return MailboxProvider.OTHER
    provider = _FIRST_LABELS.get(labels[0])
    if provider is None or (labels[0] in _ONLY_COM and labels[1:] != ["com"]):
        return MailboxProvider.OTHER
    national = len(labels) == 2 or labels[1] in ("co", "com")
    return provider if national and (provider in _NATIONAL or labels[1:] == ["com"]) else MailboxProvider.OTHER
