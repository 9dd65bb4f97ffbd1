"""What every activity needs, handed over once at the start of a worker."""

from __future__ import annotations

from dataclasses import dataclass

from settings import Settings
from store.database import Database
from store.secrets import Secrets


@dataclass(frozen=True)
class Context:
    """Settings, store and secrets of a worker process."""

    settings: Settings
    db: Database
    secrets: Secrets
