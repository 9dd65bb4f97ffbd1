"""IPs sort by number; used idempotency keys with what they asked for; audit lines before the effect; runs of journeys.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import json

import sqlalchemy as sa
import sqlmodel
from alembic import op

import store.instants
from domain.addresses import sort_key

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString
INSTANT = store.instants.UtcDateTime


def upgrade() -> None:
    """Every IP gets its sort key; keys of imports and orders move to the keys of all requests."""
    op.add_column("ip", sa.Column("sort_key", TEXT(), nullable=False, server_default=""))
    connection = op.get_bind()
    keys = [
        {"address": address, "key": sort_key(address)}
        for (address,) in connection.execute(sa.text("SELECT address FROM ip")).all()
    ]
    if keys:
        connection.execute(sa.text("UPDATE ip SET sort_key = :key WHERE address = :address"), keys)
    with op.batch_alter_table("ip") as batch:
        batch.alter_column("sort_key", server_default=None)
    op.create_index("ix_ip_sort_key", "ip", ["sort_key"])
    op.create_table(
        "request_key",
        sa.Column("key", TEXT(), nullable=False),
        sa.Column("request", TEXT(), nullable=False),
        sa.Column("digest", TEXT(), nullable=False),
        sa.Column("made", sa.JSON(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("at", INSTANT(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    # What those requests held is not known any more: such a key is answered as before, whatever comes with it.
    op.execute(
        "INSERT INTO request_key (key, request, digest, made, at) "
        "SELECT key, 'POST /v1/ips/import', '', addresses, CURRENT_TIMESTAMP FROM ip_import"
    )
    op.drop_table("ip_import")
    orders = connection.execute(
        sa.text("SELECT id, idempotency_key, created_at FROM purchase_order WHERE idempotency_key IS NOT NULL")
    ).all()
    for identity, key, at in orders:
        connection.execute(
            sa.text(
                "INSERT INTO request_key (key, request, digest, made, at) "
                "VALUES (:key, 'POST /v1/orders', '', :made, :at) ON CONFLICT DO NOTHING"
            ),
            {"key": key, "made": json.dumps([identity]), "at": at},
        )
    with op.batch_alter_table("purchase_order") as batch:
        batch.drop_column("idempotency_key")
    op.add_column("audit", sa.Column("outcome", TEXT(), nullable=False, server_default="done"))
    op.add_column("audit", sa.Column("answer", TEXT(), nullable=False, server_default=""))
    op.create_table(
        "journey_run",
        sa.Column("workflow_id", TEXT(), nullable=False),
        sa.Column("run_id", TEXT(), nullable=False),
        sa.PrimaryKeyConstraint("workflow_id"),
    )
    op.drop_column("secret", "replaced_at")


def downgrade() -> None:
    """Keys of imports and orders go back to where they were; the other keys are forgotten."""
    op.add_column("secret", sa.Column("replaced_at", INSTANT(timezone=True), nullable=True))
    op.drop_table("journey_run")
    op.drop_column("audit", "answer")
    op.drop_column("audit", "outcome")
    op.create_table(
        "ip_import",
        sa.Column("key", TEXT(), nullable=False),
        sa.Column("addresses", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    with op.batch_alter_table("purchase_order") as batch:
        batch.add_column(sa.Column("idempotency_key", TEXT(), nullable=True))
        batch.create_unique_constraint("purchase_order_idempotency_key_key", ["idempotency_key"])
    connection = op.get_bind()
    for key, made in connection.execute(sa.text("SELECT key, made FROM request_key WHERE request = 'POST /v1/orders'")):
        identity = (json.loads(made) if isinstance(made, str) else made)[0]
        connection.execute(
            sa.text("UPDATE purchase_order SET idempotency_key = :key WHERE id = :id"), {"key": key, "id": identity}
        )
    op.execute(
        "INSERT INTO ip_import (key, addresses) SELECT key, made FROM request_key WHERE request = 'POST /v1/ips/import'"
    )
    op.drop_table("request_key")
    op.drop_index("ix_ip_sort_key", "ip")
    op.drop_column("ip", "sort_key")
