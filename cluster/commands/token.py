"""`atrium token`: an access token signed with the development key of the data folder."""

from typing import Annotated

import typer

from actors.runtime.clock import SystemClock
from cluster.console import DataOption, settings_with
from cluster.datadir import DataDir
from cluster.errors import BadSettingsError
from domain.ids import new_id
from domain.roles import ROLES
from services.signing_keys import load_or_create_signing_key
from services.tokens import Tokens, rules_of
from storage.settings import Settings


def register(app: typer.Typer) -> None:
    app.command("token")(token)


def token(
    sub: Annotated[str | None, typer.Option("--sub", help="The user's UUID (default: a new one).")] = None,
    role: Annotated[list[str] | None, typer.Option("--role", help=f"One of {', '.join(sorted(ROLES))}.")] = None,
    org: Annotated[list[str] | None, typer.Option("--org", help="An organization's UUID the user acts for.")] = None,
    ttl: Annotated[int | None, typer.Option("--ttl", min=1, help="Seconds until it expires.")] = None,
    data: DataOption = None,
) -> None:
    """Print an access token. Give --role and --org several times for several."""
    settings = settings_with(data)
    try:
        made = issuer(settings).issue(sub or new_id(), tuple(role or ("customer",)), tuple(org or ()), ttl)
    except ValueError as error:
        raise BadSettingsError(str(error)) from error
    print(made)


def issuer(settings: Settings) -> Tokens:
    """Tokens as this installation's gateways accept them."""
    keys = DataDir(settings.data_dir).keys
    return Tokens(SystemClock(), signing=load_or_create_signing_key(keys), rules=rules_of(settings))
