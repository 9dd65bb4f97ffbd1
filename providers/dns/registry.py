"""Which publisher serves a domain."""

from __future__ import annotations

from providers.dns.manual import ManualPublisher
from providers.dns.port import Publisher
from providers.dns.rfc2136 import Rfc2136Publisher
from settings import Settings


def publisher_name(settings: Settings, domain: str) -> str:
    """Who enters the records of a domain: ``manual``, ``rfc2136`` or ``route53``."""
    by_hand = any(domain == name or domain.endswith("." + name) for name in settings.dns_manual_domains)
    return "manual" if by_hand else settings.dns_publisher


def publisher(settings: Settings, domain: str) -> Publisher:
    """The publisher of a domain: by hand where the settings say so, else the configured one.

    Raises:
        ValueError: the settings name an unknown publisher or leave out its secret.
    """
    name = publisher_name(settings, domain)
    if name == "manual":
        return ManualPublisher()
    if name == "rfc2136":
        return Rfc2136Publisher.from_settings(settings)
    if name == "route53":
        # Imported where it is used: boto3 costs every process most of a second.
        from providers.dns.route53 import Route53Publisher

        return Route53Publisher.from_settings(settings)
    raise ValueError("WARMPATH_DNS_PUBLISHER: `manual`, `rfc2136` or `route53`.")
