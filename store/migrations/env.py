"""How Alembic reaches the database; the URL comes from ``store.migrating``."""

import sqlalchemy as sa
from alembic import context
from sqlmodel import SQLModel

import store.tables  # noqa: F401 - fills the metadata

engine = sa.create_engine(context.config.attributes["url"])
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
