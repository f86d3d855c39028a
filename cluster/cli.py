"""The `atrium` command. One module a command, loaded only when it is called: `atrium token` needs no Ray."""

import importlib
import sys
from collections.abc import Sequence
from typing import Final

import typer

from cluster import session
from cluster.console import err
from cluster.errors import CommandError
from storage.logs import configure_logging

COMMANDS: Final = {
    "up": "up",
    "demo": "demo",
    "status": "status",
    "hosts": "hosts",
    "token": "token",
    "user": "user",
    "seed": "seed",
    "journal": "journal",
    "dead-letters": "dead_letters",
    "audit": "audit",
    "retention": "retention",
    "export": "export",
    "keys": "keys",
    "backup": "backup",
    "restore": "restore",
    "migrate": "migrate",
    "openapi": "openapi",
    "settings": "settings",
    "doctor": "doctor",
}
"""Command → module of `cluster.commands`, in the order of the help."""

INTERRUPTED: Final = 130
_RUN_STACKS: Final = frozenset({"up", "demo"})
"""Commands that start processes of their own and must end them in order."""


def build(names: Sequence[str]) -> typer.Typer:
    """The command line with these commands."""
    app = typer.Typer(
        name="atrium",
        help="A real-time backend for merchants, clinics and event organizers.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_several_commands)
    for name in names:
        importlib.import_module(f"cluster.commands.{COMMANDS[name]}").register(app)
    return app


def _several_commands() -> None:
    """Keep the name of the command on the line even when only one is loaded."""


def run(argv: Sequence[str]) -> int:
    """Run one command line; returns its exit code. A `CommandError` is one line on standard error."""
    wanted = [argument for argument in argv if argument in COMMANDS][:1]
    try:
        build(wanted or list(COMMANDS))(args=list(argv), prog_name="atrium")
    except CommandError as error:
        err.print(f"[red]error:[/red] {_one_line(error)}", soft_wrap=True)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(bool(error.code))
    return 0


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).replace("[", "\\[")


def main() -> None:
    if any(argument in _RUN_STACKS for argument in sys.argv[1:]):
        session.enter()
    configure_logging(service="atrium", level="warning", json=False)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
