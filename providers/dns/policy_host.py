"""Fetches the MTA-STS policy that a domain hosts, as a sending mail server does (RFC 8461, 3.3)."""

from __future__ import annotations

import asyncio
import ssl

import httpx

from domain import mta_sts
from domain.refusals import Refused

#: Seconds of each step of an answer, and of all of it: a host that sends a byte now and then never runs into the first.
TIMEOUT, WHOLE = 5.0, 10.0
#: Longest policy that is read, bytes (RFC 8461, 3.3).
LARGEST = 65_536


class PolicyNotServed(Exception):
    """The policy cannot be had; the message says why."""


class PolicyHost:
    """Asks for policies over HTTPS.

    Args:
        port: 443 but in tests.
        context: certificates that are trusted; None: those of the machine.
    """

    def __init__(self, port: int = 443, context: ssl.SSLContext | None = None) -> None:
        self._port = port
        self._context = context or ssl.create_default_context()

    async def fetch(self, domain: str, addresses: list[str]) -> mta_sts.Policy:
        """The policy of a domain from the first of its host's addresses.

        Raises:
            PolicyNotServed: no connection, a certificate of somebody else, a redirect, another status or
                type of content, more than 64 KiB, or a text that is no policy.
        """
        name = mta_sts.host(domain)
        if not addresses:
            raise PolicyNotServed(f"{name} has no address")
        address = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
        async with httpx.AsyncClient(verify=self._context, timeout=TIMEOUT, trust_env=False) as client:
            try:
                async with asyncio.timeout(WHOLE):
                    text = await self._asked(client, address, name)
            except TimeoutError as error:
                raise PolicyNotServed(f"{addresses[0]}: the policy has not come whole within {WHOLE:g} s") from error
            except (httpx.HTTPError, OSError) as error:
                raise PolicyNotServed(f"{addresses[0]}: {str(error) or type(error).__name__}") from error
        try:
            return mta_sts.parse_policy(text)
        except Refused as refusal:
            raise PolicyNotServed(refusal.detail) from refusal

    async def _asked(self, client: httpx.AsyncClient, address: str, name: str) -> str:
        # The address comes from DNS as the public sees it; name and certificate are the policy host's.
        async with client.stream(
            "GET",
            f"https://{address}:{self._port}/.well-known/mta-sts.txt",
            headers={"Host": name},
            extensions={"sni_hostname": name},
        ) as answer:
            return await self._body(answer)

    async def _body(self, answer: httpx.Response) -> str:
        if answer.status_code != httpx.codes.OK:
            raise PolicyNotServed(f"the host answers {answer.status_code}; senders take only 200, no redirect")
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "text/plain":
            raise PolicyNotServed(f"the content type is {kind or 'missing'}; senders take only text/plain")
        body = b""
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > LARGEST:
                raise PolicyNotServed("the policy is longer than 64 KiB")
        try:
            return body.decode()
        except UnicodeDecodeError:
            raise PolicyNotServed("the policy is no UTF-8") from None
