"""`atrium user create`: an account without a mail, above all the platform's first admin."""

import asyncio
import sys
from typing import Annotated

import typer

from actors.runtime.clock import SystemClock
from cluster.commands.token import issuer
from cluster.console import DataOption, JsonOption, out, print_json, settings_with
from cluster.errors import BadSettingsError, ClusterError
from cluster.stores import database_for_command, open_keys
from domain.errors import AtriumError, Invalid
from services.accounts.accounts import Accounts, postgres_stores
from services.accounts.registration import NewUser
from services.audit import Audit
from services.clinic_stores import AuditStore
from services.mail.mailer import mailer_for
from storage.accounts.records import UserRecord
from storage.db import Database
from storage.settings import Settings


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Accounts of people.", no_args_is_help=True)
    group.callback()(_several_commands)
    group.command("create")(create)
    app.add_typer(group, name="user")


def _several_commands() -> None:
    """Keep the name of the command on the line even while there is only one."""


def create(
    email: Annotated[str, typer.Option("--email", help="The address; it counts as confirmed.")],
    name: Annotated[str, typer.Option("--name", help="What the person is called.")],
    admin: Annotated[bool, typer.Option("--admin", help="Runs the whole platform.")] = False,
    courier: Annotated[bool, typer.Option("--courier", help="Delivers.")] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")
    ] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Create an active account. The password is asked for, never an option: options show in lists of processes."""
    settings = settings_with(data)
    password = (
        sys.stdin.readline().rstrip("\r\n")
        if password_stdin
        else typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    roles = ("customer", *(["courier"] if courier else []), *(["admin"] if admin else []))
    with database_for_command(settings) as url:
        user = asyncio.run(_create(settings, url, NewUser(email=email, password=password, name=name), roles))
    if as_json:
        print_json({"id": user.id, "roles": list(user.roles)})
    else:
        out.print(f"created {user.id} ({', '.join(user.roles)})")


async def _create(settings: Settings, url: str, wanted: NewUser, roles: tuple[str, ...]) -> UserRecord:
    clock, database = SystemClock(), Database(url, settings)
    accounts = Accounts(
        postgres_stores(database, await open_keys(settings, url)),
        issuer(settings),
        mailer_for(settings, clock),
        Audit(AuditStore(database), clock),
        clock,
        sender=settings.mail_from,
    )
    try:
        user = await accounts.registration.create(wanted, roles)
    except Invalid as error:
        reasons = [f"{one.path}: {one.message}" for one in error.failure.errors] or [error.failure.detail]
        raise BadSettingsError("; ".join(reasons)) from None
    except AtriumError as error:
        raise ClusterError(error.failure.detail) from None
    finally:
        await accounts.close()
        await database.close()
    if user is None:
        raise BadSettingsError("there is an account with this address already")
    return user
