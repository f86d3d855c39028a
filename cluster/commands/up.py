"""`atrium up`: a whole installation in one process, until Ctrl-C."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.status import Status

from cluster.console import JsonOption, err, out, print_json, settings_with, table
from cluster.stack import Ready, Report, Stack, StopRequestedError
from services.mail.mailer import MAIL_FOLDER
from storage.settings import Settings


def register(app: typer.Typer) -> None:
    app.command("up")(up)


def up(
    data: Annotated[Path | None, typer.Option("--data", help="Folder for data and logs (default ./.atrium).")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to serve on (default 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to serve on (default 8000).")] = None,
    hosts: Annotated[int | None, typer.Option("--hosts", help="Entity hosts (default 2).")] = None,
    replicas: Annotated[int | None, typer.Option("--replicas", help="Gateways (default 1).")] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard/--no-dashboard", help="Ray's dashboard.")] = True,
    gateways: Annotated[
        bool, typer.Option("--gateways/--no-gateways", help="Without, `serve deploy` brings them.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Bring everything up and keep it up; Ctrl-C or SIGTERM drains and ends it.

    A second start on the same folder goes on where it was. With --json one line {"ready": true, …} tells that it is up.
    """
    settings = settings_with(data, host=host, port=port, entity_hosts=hosts, gateway_replicas=replicas)
    with progress(quiet=as_json) as report:
        stack = Stack(settings, dashboard=dashboard, gateways=gateways, report=report)
        try:
            ready = stack.start()
        except StopRequestedError as stopped:
            raise typer.Exit(128 + signal.Signals[str(stopped)].value) from None
    if stack.warning:
        err.print(f"[yellow]warning:[/yellow] {stack.warning}")
    if as_json:
        print_json(ready)
    else:
        show(ready, settings)
    try:
        wait_for_signal()
    finally:
        with progress(quiet=as_json) as report:
            stack.report_to(report)
            stack.stop()


@contextmanager
def progress(*, quiet: bool) -> Iterator[Report]:
    """Shows the step that is being taken: a spinner on a terminal, a line each elsewhere, nothing if quiet."""
    if quiet:
        yield lambda _: None
    elif err.is_terminal:
        with Status("starting", console=err) as status:
            yield status.update
    else:
        yield lambda step: err.print(step, style="dim")


def wait_for_signal() -> None:
    """Return at SIGINT or SIGTERM. Ray has set a handler of its own for SIGTERM, which this one replaces."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(1.0):
        pass


def show(ready: Ready, settings: Settings) -> None:
    """The table of what is where."""
    rows = table("what", "where")
    for name, url in urls(ready):
        rows.add_row(name, url)
    if settings.smtp_url is None:
        rows.add_row("outgoing mail", str(settings.data_dir.absolute() / MAIL_FOLDER))
    out.print()
    out.print(rows)
    out.print(f"\n[bold]token[/bold] (development, admin)\n{ready.token}", soft_wrap=True)
    flag = "" if settings.data_dir == Path(".atrium") else f" --data {settings.data_dir}"
    out.print(f"\nother tokens: atrium token{flag} --role customer     stop: Ctrl-C", style="dim", soft_wrap=True)


def urls(ready: Ready) -> list[tuple[str, str]]:
    """What a stack offers, by name."""
    base = ready.base_url
    found = [
        ("API docs", f"{base}/api/v1/docs"),
        ("OpenAPI", f"{base}/api/v1/openapi.json"),
        ("live WebSocket", f"ws{base.removeprefix('http')}/api/v1/live"),
        ("readiness", f"{base}/readyz"),
        ("metrics", f"{base}/metrics"),
    ]
    return [*found, ("dashboard", ready.dashboard_url)] if ready.dashboard_url else found
