"""Messages to workflows, written in the transaction of what caused them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel


class OutboxRow(SQLModel, table=True):
    """One signal or start on its way; times in epoch milliseconds."""

    __tablename__ = "outbox"

    id: int | None = Field(default=None, primary_key=True)
    kind: str = Field(description="`signal` or `start`.")
    workflow_id: str
    name: str = Field(description="Name of the signal or of the workflow.")
    payload: dict[str, Any] = Field(sa_column=sa.Column(sa.JSON, nullable=False))
    created_ms: int = Field(sa_type=sa.BigInteger)
    due_ms: int = Field(sa_type=sa.BigInteger, description="Not tried before; also the end of a claim.")
    attempts: int = 0
    done_ms: int | None = Field(default=None, sa_type=sa.BigInteger, index=True)
    note: str = ""
