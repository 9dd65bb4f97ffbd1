"""When a campaign was finished.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column; no campaign is finished yet."""
    op.add_column("campaign", sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Finished campaigns are paused ones."""
    op.drop_column("campaign", "finished_at")
