"""Every pool that an IP stands in is made, and the default one: an unknown pool is refused from now on.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One row a pool; those that were made before stay as they are."""
    op.execute(
        "INSERT INTO pool (name, created_at) SELECT name, CURRENT_TIMESTAMP FROM ("
        "SELECT 'default' AS name UNION SELECT pool FROM ip UNION SELECT pool FROM purchase_order "
        "UNION SELECT pool FROM sender"
        ") AS named WHERE name NOT IN (SELECT name FROM pool)"
    )


def downgrade() -> None:
    """The pools stay: they do no harm to the version before."""
