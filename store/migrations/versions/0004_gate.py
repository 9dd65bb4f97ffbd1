"""How mail is known to be of a sender, campaigns, pauses, and what tells the gates of changes"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import store.instants

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(), nullable=False)


def upgrade() -> None:
    op.create_table("sender_match", _text("match"), _text("sender"), sa.PrimaryKeyConstraint("match"))
    op.create_index("ix_sender_match_sender", "sender_match", ["sender"])
    op.create_table(
        "campaign",
        _text("name"),
        _text("sender"),
        sa.Column("created_at", store.instants.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("ix_campaign_sender", "campaign", ["sender"])
    op.create_table(
        "mail_pause",
        _text("scope"),
        _text("name"),
        _text("reason"),
        sa.Column("since", store.instants.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "name"),
    )
    op.create_table(
        "route_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    dialect = op.get_bind().dialect.name
    from store.tables.routes import WATCHED

    for table in WATCHED:
        for event in ("insert", "update", "delete"):
            on = f' ON "{table}"' if dialect == "postgresql" else ""
            op.execute(f"DROP TRIGGER IF EXISTS {table}_told_{event}{on}")
    if dialect == "postgresql":
        op.execute("DROP FUNCTION IF EXISTS warmpath_routes_changed()")
    for table in ("route_version", "mail_pause", "campaign", "sender_match"):
        op.drop_table(table)
