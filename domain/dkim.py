"""DKIM key records (RFC 6376, RFC 8463): writing, reading and comparing them."""

from __future__ import annotations

#: Selector of the keys that Warmpath makes.
SELECTOR = "warmpath"
#: RSA size of new keys in bits (RFC 8301 recommends 2048, verifiers take 1024 and more).
RSA_BITS = 2048


def name(selector: str, domain: str) -> str:
    """Where the key of a selector is published."""
    return f"{selector}._domainkey.{domain}"


def record(public_key: str, kind: str = "rsa") -> str:
    """The TXT value of a key.

    Args:
        public_key: base64 of the SubjectPublicKeyInfo (rsa) or of the raw 32 bytes (ed25519).
    """
    return f"v=DKIM1; k={kind}; p={public_key}"


def tags(text: str) -> dict[str, str]:
    """The tags of a ``tag=value; ...`` record, names in lower case, white space in values removed."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        key, equals, value = part.partition("=")
        if equals:
            found[key.strip().lower()] = "".join(value.split())
    return found


def same_key(left: str, right: str) -> bool:
    """Whether two records publish the same usable key."""
    a, b = tags(left), tags(right)
    return bool(a.get("p")) and (a.get("p"), a.get("k", "rsa")) == (b.get("p"), b.get("k", "rsa"))
