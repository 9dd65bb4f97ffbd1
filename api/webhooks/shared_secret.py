"""Sources that sign nothing: a secret that comes with each request, compared in constant time.

It may come as the password of HTTP Basic (any user name), as a Bearer token, or in `X-Warmpath-Token`,
whichever the source can send. It protects no better than the TLS that carries it, and a recorded request
could be sent again: events are counted once by their id, so that such a request adds nothing.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping

from pydantic import SecretStr

from api.webhooks.reading import Rejected


def verify(headers: Mapping[str, str], secret: SecretStr | None) -> None:
    """Check the secret of a request.

    Raises:
        Rejected: none came, or another.
    """
    offered = _offered(headers)
    if offered is None:
        raise Rejected(
            "No secret came with the request: send it as the password of HTTP Basic, as a Bearer token, or in "
            "X-Warmpath-Token.",
            code="unauthenticated",
        )
    expected = (secret.get_secret_value() if secret else "").encode()
    if not expected or not hmac.compare_digest(expected, offered):
        raise Rejected("The secret of the request is another one.", code="forged")


def _offered(headers: Mapping[str, str]) -> bytes | None:
    plain = headers.get("x-warmpath-token")
    if plain:
        return plain.encode("utf-8", "replace")
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip().encode("utf-8", "replace")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return None
    return None
