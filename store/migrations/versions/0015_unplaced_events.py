"""Events of which more may be known once events of their mail come.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """One table."""
    op.create_table(
        "unplaced_event",
        *(sa.Column(name, TEXT(), nullable=False) for name in ("source", "event_id", "told", "booked")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("since_ms", "due_ms")),
        sa.PrimaryKeyConstraint("source", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_unplaced_event_due_ms", "unplaced_event", ["due_ms"])


def downgrade() -> None:
    """What waits stays without its IP."""
    op.drop_table("unplaced_event")
