"""Runs Postfix's own programs; they need root, as Postfix does."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from providers.senders.port import MailSystemError

#: Seconds that one program may take; a queue of 100,000 is listed in a few.
SECONDS = 60.0
_SBIN = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"


async def run(config: Path, program: str, *arguments: str, given: str = "") -> str:
    """What a program prints; arguments as in :func:`attempt`.

    Raises:
        MailSystemError: it is not there, fails, or takes too long.
    """
    code, out, said = await attempt(config, program, *arguments, given=given)
    if code:
        raise MailSystemError(f"Postfix's {program} failed: {said or code}")
    return out


async def attempt(
    config: Path, program: str, *arguments: str, given: str = "", utc: bool = False
) -> tuple[int, str, str]:
    """Exit code, output, and the last line of the errors.

    Args:
        config: folder of ``main.cf``; absolute (a relative one makes Postfix fail without a word).
        given: its standard input.
        utc: the times that it prints are those of UTC: local time has an hour twice a year that could be two. Not for
            what writes into Postfix's log, which keeps one zone.

    Raises:
        MailSystemError: it is not there or takes too long.
    """
    path = shutil.which(program, path=_SBIN)
    if path is None:
        raise MailSystemError(f"Postfix's program {program} is not on this machine; install Postfix.")
    words = (path, "-c", str(config), *arguments)
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "TZ": "UTC", "LC_ALL": "C"} if utc else None,
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, errors = await process.communicate(given.encode())
    except TimeoutError:
        raise MailSystemError(f"Postfix's {program} took more than {SECONDS:.0f} s.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = errors.decode(errors="replace").strip().splitlines()
    return process.returncode or 0, out.decode(errors="replace"), said[-1] if said else ""
