"""Which publisher serves a domain."""

from __future__ import annotations

from providers.dns.manual import ManualPublisher
from providers.dns.port import Publisher
from providers.dns.rfc2136 import Rfc2136Publisher
from settings import Settings


def publisher(settings: Settings, domain: str) -> Publisher:
    """The publisher of a domain: by hand where the settings say so, else the configured one.

    Raises:
        ValueError: the settings name an unknown publisher or leave out its secret.
    """
    by_hand = any(domain == name or domain.endswith("." + name) for name in settings.dns_manual_domains)
    if by_hand or settings.dns_publisher == "manual":
        return ManualPublisher()
    if settings.dns_publisher == "rfc2136":
        return Rfc2136Publisher.from_settings(settings)
    if settings.dns_publisher == "route53":
        # Imported where it is used: boto3 costs every process most of a second.
        from providers.dns.route53 import Route53Publisher

        return Route53Publisher.from_settings(settings)
    raise ValueError("WARMPATH_DNS_PUBLISHER: `manual`, `rfc2136` or `route53`.")
