"""Makes ``.venv`` from ``requirements.lock`` with nothing but Python's standard library.

uv does it in seconds when it can be had (on the path, or from the package index); pip does it
otherwise, with the same hashes. A stamp of the lock's hash makes the second run cost nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "lock.sha256"
OLDEST = (3, 11)


def fingerprint() -> str:
    """What the environment is made of: the lock, the project's own file, the Python version."""
    digest = hashlib.sha256(sys.version.encode())
    for name in ("requirements.lock", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def _works(uv: str | None) -> bool:
    if uv is None:
        return False
    return subprocess.run([uv, "--version"], capture_output=True, check=False).returncode == 0


def find_uv() -> str | None:
    """Path of a uv that runs, installed into ``.venv`` if need be; None if it cannot be had."""
    for candidate in (shutil.which("uv"), str(VENV / "bin" / "uv") if (VENV / "bin" / "uv").exists() else None):
        if _works(candidate):
            return candidate
    asked = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"]
    got = subprocess.run(asked, capture_output=True, check=False).returncode == 0
    return str(VENV / "bin" / "uv") if got else None


def install() -> None:
    """Build the environment; CalledProcessError if a package cannot be installed."""
    print("Preparing .venv from requirements.lock (once per change of the lock) ...", flush=True)
    if not PYTHON.exists():
        venv.create(VENV, with_pip=True)
    lock, uv = str(ROOT / "requirements.lock"), find_uv()
    surroundings = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    surroundings.setdefault("UV_SYSTEM_CERTS", "1")
    if uv is not None:
        base = [uv, "pip", "install", "--quiet", "--python", str(PYTHON)]
    else:
        base = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*base, "--require-hashes", "-r", lock], check=True, env=surroundings)
    subprocess.run([*base, "--no-deps", "-e", str(ROOT)], check=True, env=surroundings)
    STAMP.write_text(fingerprint())


def main() -> int:
    """Return the exit code: 0 when ``.venv`` is ready."""
    if sys.version_info < OLDEST:
        print(f"Warmpath needs Python {OLDEST[0]}.{OLDEST[1]} or newer; this is {sys.version.split()[0]}.")
        return 1
    if STAMP.exists() and STAMP.read_text() == fingerprint():
        return 0
    try:
        with (ROOT / "requirements.lock").open() as lock:
            # `make demo` may be started while `make up` still builds.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not STAMP.exists() or STAMP.read_text() != fingerprint():
                install()
    except subprocess.CalledProcessError as error:
        print(f"The environment could not be built: `{' '.join(error.cmd[:4])} ...` failed; see above.")
        return 1
    except OSError as error:
        print(f"The environment could not be built: {error}.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
