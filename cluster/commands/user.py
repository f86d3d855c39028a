"""`atrium user`: accounts from the console, for when nobody can log in who could do it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

import typer

from actors.runtime.clock import SystemClock
from actors.runtime.entity import SYSTEM, Actor
from cluster.commands.token import issuer
from cluster.console import DataOption, JsonOption, out, print_json, settings_with
from cluster.errors import BadSettingsError, ClusterError
from cluster.stores import database_for_command, open_keys
from domain.errors import AtriumError, Invalid
from services.accounts.accounts import Accounts, postgres_stores
from services.accounts.emails import check_email
from services.accounts.registration import NewUser
from services.accounts.store import AccountStores
from services.audit import Audit
from services.clinic_stores import AuditStore
from services.mail.mailer import mailer_for
from storage.accounts.records import UserRecord
from storage.db import Database
from storage.settings import Settings

_CONSOLE: Final = Actor(SYSTEM.subject, ("admin",))
"""Whoever has the data folder and its keys."""


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Accounts of people.", no_args_is_help=True)
    group.command("create")(create)
    group.command("reset-factors")(reset_factors)
    app.add_typer(group, name="user")


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


def reset_factors(
    email: Annotated[
        str, typer.Option("--email", help="Whose authenticator app, passkeys and recovery codes are lost.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="What the audit trail says.")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Remove all second factors of somebody, the platform's only admin above all; their logins end."""
    settings = settings_with(data)
    with database_for_command(settings) as url:
        count = asyncio.run(_reset_factors(settings, url, email, reason))
    if as_json:
        print_json({"removed": count})
    else:
        out.print(f"removed {count} factors")


async def _create(settings: Settings, url: str, wanted: NewUser, roles: tuple[str, ...]) -> UserRecord:
    async with _accounts(settings, url) as (accounts, _):
        user = await accounts.registration.create(wanted, roles)
    if user is None:
        raise BadSettingsError("there is an account with this address already")
    return user


async def _reset_factors(settings: Settings, url: str, email: str, reason: str) -> int:
    async with _accounts(settings, url) as (accounts, stores):
        user = await stores.users.user_by_email(check_email(email))
        if user is None:
            raise BadSettingsError("there is no account with this address")
        return await accounts.enrolments.reset(_CONSOLE, user.id, reason)


@asynccontextmanager
async def _accounts(settings: Settings, url: str) -> AsyncIterator[tuple[Accounts, AccountStores]]:
    """Accounts without a gateway, until the block ends. What they refuse is told on the console."""
    clock, database = SystemClock(), Database(url, settings)
    keys = await open_keys(settings, url)
    stores = postgres_stores(database, keys)
    accounts = Accounts(
        stores,
        issuer(settings),
        mailer_for(settings, clock),
        Audit(AuditStore(database, keys), clock),
        clock,
        sender=settings.mail_from,
    )
    try:
        yield accounts, stores
    except Invalid as error:
        reasons = [f"{one.path}: {one.message}" for one in error.failure.errors] or [error.failure.detail]
        raise BadSettingsError("; ".join(reasons)) from None
    except AtriumError as error:
        raise ClusterError(error.failure.detail) from None
    finally:
        await accounts.close()
        await database.close()
