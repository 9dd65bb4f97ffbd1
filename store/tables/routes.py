"""What tells the gates that caps, pauses or routes changed: triggers, so that no writer can forget.

On PostgreSQL they ``NOTIFY`` at commit, on SQLite they count up one row that the gates look at
(``store/changes.py``). What the ledger books of its caps tells nobody. They are set anew after every
migration, because SQLite drops them where a table is made over.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

import store.tables.ips
import store.tables.ledger
import store.tables.senders  # noqa: F401 - the watched tables must be known

#: PostgreSQL channel.
CHANNEL = "warmpath_routes"

#: Table to the columns that matter, or to None for all of them; of the ledger, all but what is booked.
WATCHED: dict[str, tuple[str, ...] | None] = {
    "ledger_window": None,
    "ip": ("stage", "stage_before", "pool", "sender", "domain", "safe_limit", "bind_address"),
    "pool": None,
    "sender": None,
    "sender_match": None,
    "campaign": None,
    "mail_pause": None,
}


class RouteVersion(SQLModel, table=True):
    """One row that counts changes; PostgreSQL leaves it at 0."""

    __tablename__ = "route_version"

    id: int = Field(primary_key=True)
    version: int = 0


def _matters(table: str) -> list[str]:
    named = WATCHED[table]
    columns = SQLModel.metadata.tables[table].columns
    return [
        one.name
        for one in columns
        if not one.primary_key
        and (named is None or one.name in named)
        and not (table == "ledger_window" and _booked(one.name))
    ]


def _booked(column: str) -> bool:
    return column in ("granted", "hour", "last_grant") or column.startswith(("granted_", "hour_"))


def statements(dialect: str) -> list[str]:
    """What sets the triggers of a database; run again it changes nothing."""
    postgresql = dialect == "postgresql"
    made = ["INSERT INTO route_version (id, version) VALUES (1, 0) ON CONFLICT DO NOTHING"]
    if postgresql:
        made.append(
            "CREATE OR REPLACE FUNCTION warmpath_routes_changed() RETURNS trigger LANGUAGE plpgsql AS "
            f"'BEGIN NOTIFY {CHANNEL}; RETURN NULL; END'"
        )
    differs = "IS DISTINCT FROM" if postgresql else "IS NOT"
    for table in WATCHED:
        columns = _matters(table)
        changed = " OR ".join(f"OLD.{one} {differs} NEW.{one}" for one in columns)
        for event, when in (("INSERT", ""), ("UPDATE", f"WHEN ({changed}) "), ("DELETE", "")):
            if event == "UPDATE" and not columns:
                continue
            name = f"{table}_told_{event.lower()}"
            which = f"UPDATE OF {', '.join(columns)}" if event == "UPDATE" else event
            head = f'AFTER {which} ON "{table}" FOR EACH ROW {when}'
            if postgresql:
                made.append(f"CREATE OR REPLACE TRIGGER {name} {head}EXECUTE FUNCTION warmpath_routes_changed()")
            else:
                made.append(f"DROP TRIGGER IF EXISTS {name}")
                made.append(f"CREATE TRIGGER {name} {head}BEGIN UPDATE route_version SET version = version + 1; END")
    return made


def _install(_: sa.MetaData, connection: sa.Connection, **__: object) -> None:
    for statement in statements(connection.dialect.name):
        connection.exec_driver_sql(statement)


sa.event.listen(SQLModel.metadata, "after_create", _install)
