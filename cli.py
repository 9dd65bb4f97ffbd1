"""`warmpath`: what an operator does from a shell."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import settings as configuration
from commands import bounce, mail_systems, postfix, reply, webhook
from domain.words import Role

# Each command imports what it needs when it runs: `make up` calls two of them, and all together take seconds.

app = typer.Typer(
    no_args_is_help=True, help="Warmpath: a control plane for sending IPs.", pretty_exceptions_enable=False
)
db_app = typer.Typer(no_args_is_help=True, help="The database.")
token_app = typer.Typer(no_args_is_help=True, help="Access tokens.")
secrets_app = typer.Typer(no_args_is_help=True, help="Keys of secrets at rest.")
worker_app = typer.Typer(no_args_is_help=True, help="The worker of this machine.")
app.add_typer(db_app, name="db")
app.add_typer(token_app, name="token")
app.add_typer(secrets_app, name="secrets")
app.add_typer(worker_app, name="worker")
app.add_typer(reply.app, name="reply")
app.add_typer(bounce.app, name="bounce")
app.add_typer(webhook.app, name="webhook")
app.add_typer(postfix.app, name="postfix")
app.add_typer(mail_systems.app, name="mail-systems")


@db_app.command("upgrade")
def upgrade() -> None:
    """Apply migrations; refuses a database of a newer version."""
    from store import migrating

    try:
        migrating.upgrade(configuration.load().database_url)
    except migrating.NewerDatabase as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from error
    typer.echo("The database is up to date.")


async def _rebuild() -> int:
    from api import rebuild
    from store.database import Database
    from workflows.client import connect

    settings = configuration.load()
    db = Database.open(settings.database_url, synchronous=settings.sqlite_synchronous)
    found = left = 0
    try:
        async for change in rebuild.rebuild(await connect(settings), db):
            found, left = found + 1, left + (not change.fixed)
            typer.echo(f"{change.what}: {change.said}", err=not change.fixed)
    finally:
        await db.close()
    typer.echo(f"{found - left} rows were put right, {left} need a person." if found else "Nothing to put right.")
    return left


@db_app.command("rebuild")
def rebuild_read_model() -> None:
    """Put stages and orders right from the workflows; needs Temporal and a worker, and may run at any time."""
    from temporalio.service import RPCError

    try:
        left = asyncio.run(_rebuild())
    except (RPCError, RuntimeError) as error:
        typer.echo(f"Temporal does not answer: {error}", err=True)
        left = -1
    sys.stdout.flush()
    sys.stderr.flush()
    # The SDK's runtime can crash at interpreter exit; everything is written by now.
    os._exit(0 if left == 0 else 1)


async def _make(name: str, role: Role, reason: str) -> str:
    from domain.reasons import check_reason
    from store import accounts
    from store.database import Database
    from store.tables.accounts import Audit

    check_reason(reason)
    settings = configuration.load()
    db = Database.open(settings.database_url, synchronous=settings.sqlite_synchronous)
    try:
        async with db.write() as session:
            text = await accounts.create_token(session, name, role)
            made = {"role": role, "id": accounts.identity_of(text)}
            # Whoever may run this command has every right here; the machine knows who that is, as far as anybody does.
            line = Audit(who=_person(), role="shell", what="token.create", target=name, why=reason, after=made)
            session.add(line)
    finally:
        await db.close()
    return text


def _person() -> str:
    """The account of this machine that runs the command."""
    import getpass

    try:
        return f"{getpass.getuser()} (command line)"
    except (OSError, KeyError):  # a container may know its user by nothing but a number
        return f"user {os.getuid()} (command line)"


@app.command("gate")
def run_gate() -> None:
    """Answer mail systems before each mail: policy delegation and socketmap. SIGTERM drains."""
    from gate import service  # the other commands need no event loop of its kind

    raise typer.Exit(service.main())


@token_app.command("create")
def create(
    name: str,
    role: Annotated[Role, typer.Option()] = Role.VIEWER,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit.")] = "",
) -> None:
    """Make a token and print it; it is shown only now."""
    typer.echo(asyncio.run(_make(name, role, reason)))


@token_app.command("bootstrap")
def bootstrap() -> None:
    """Make the first token in `var_dir`/operator.token, unless it is there."""
    file = Path(configuration.load().var_dir) / "operator.token"
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    text = asyncio.run(_make("first operator", Role.ADMIN, ""))
    file.touch(mode=0o600)
    file.write_text(text + "\n")


@secrets_app.command("new-key")
def make_key(name: str = "k1") -> None:
    """Print a fresh key for WARMPATH_SECRET_KEYS."""
    from store.keys import new_key

    typer.echo(new_key(name))


@worker_app.command("health")
def worker_health(
    seconds: Annotated[float, typer.Option(help="How long ago it may have asked for work.")] = 120.0,
) -> None:
    """Exit 0 if a worker of this machine asked the Temporal server for work lately, 1 if none did."""
    from temporalio.service import RPCError

    from workflows import workers

    try:
        seen = asyncio.run(workers.last_seen_here(configuration.load()))
    except (RuntimeError, RPCError) as error:
        seen, reason = None, f"Temporal does not answer: {error}"
    else:
        reason = "No worker of this machine takes tasks."
    healthy = seen is not None and seen <= seconds
    if seen is not None:
        reason = f"The worker of this machine asked for work {seen:.0f} s ago."
    typer.echo(reason, err=not healthy)
    sys.stdout.flush()
    # The SDK's runtime can crash at interpreter exit.
    os._exit(0 if healthy else 1)


def main() -> None:
    """Entry point of the `warmpath` command."""
    from domain.refusals import Refused

    try:
        app()
    except Refused as refusal:
        typer.echo(refusal.detail, err=True)
        sys.exit(2)
    except Exception as error:
        if not type(error).__module__.startswith("sqlalchemy."):
            raise
        first = str(error.__cause__ or error).splitlines()[0]
        typer.echo(
            f"The database cannot be used: {first}. Is WARMPATH_DATABASE_URL right, and `db upgrade` done?", err=True
        )
        sys.exit(3)


if __name__ == "__main__":
    main()
