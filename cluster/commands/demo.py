"""`atrium demo`: thousands of baskets through the whole stack, a host killed in the middle, and nothing lost."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from cluster.commands.token import issuer
from cluster.commands.up import progress, show, wait_for_signal
from cluster.console import JsonOption, err, out, print_json, settings_with
from cluster.datadir import DataDir
from cluster.demo import report
from cluster.demo.baskets import COLUMNS, Basket, load
from cluster.demo.play import Play, Stage, Victim, Victims
from cluster.demo.report import Result
from cluster.demo.show import show_progress
from cluster.errors import ClusterError
from cluster.running import joined
from cluster.stack import Ready, Stack, StopRequestedError
from cluster.stores import is_free_port
from realtime.client.http import HttpError
from storage.embedded.process import free_port
from storage.settings import Settings

DEFAULT_BASKETS = 6_000
"""So many made-up baskets without a file: about two minutes with the start, on two cores."""


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    baskets: Annotated[
        Path | None,
        typer.Option("--baskets", envvar="ATRIUM_BASKETS", help=f"CSV, plain or gz: {','.join(COLUMNS)}."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first so many baskets.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder for data and logs (default ./.atrium).")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to serve on (default 8000, or a free one).")] = None,
    kill: Annotated[bool, typer.Option("--kill/--no-kill", help="Kill an entity host halfway.")] = True,
    keep: Annotated[bool, typer.Option("--keep", help="Stay up afterwards, until Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Replay baskets as carts and orders through HTTP and WebSocket, kill a host halfway, and count what is left.

    Runs against what is up on the data folder, or brings up a stack of its own. Exit code 1 unless all counts agree.
    """
    loaded = load(baskets, limit, DEFAULT_BASKETS)
    source = "a made-up sample" if baskets is None else baskets.name
    settings = settings_with(data, port=port)
    said = err if as_json else out
    with _stage(settings, kill=kill, quiet=as_json, own_port=port is None) as (stage, ready):
        result = _play(stage, loaded, source, said)
        if as_json:
            print_json(report.document(result))
        else:
            report.show(result, out)
        if keep and ready is not None:
            show(ready, settings) if not as_json else print_json(ready)
            wait_for_signal()
    raise typer.Exit(int(not result.good))


@contextmanager
def _stage(settings: Settings, *, kill: bool, quiet: bool, own_port: bool) -> Iterator[tuple[Stage, Ready | None]]:
    """The running stack of the data folder, or one of our own for the time of the block."""
    run = DataDir(settings.data_dir).running()
    if run is not None:
        with joined(settings, run) as plan:
            from cluster import rays  # noqa: PLC0415 - see `joined`

            victims = _looking(lambda: rays.local_hosts(rays.hosts(plan))) if kill else None
            yield (
                Stage(base_url=run.base_url, database_url=run.database_url, tokens=issuer(settings), victims=victims),
                None,
            )
        return
    if own_port and not is_free_port(settings.port):
        settings = settings.model_copy(update={"port": free_port()})
    with progress(quiet=quiet) as steps:
        stack = Stack(settings, dashboard=False, report=steps)
        try:
            ready = stack.start()
        except StopRequestedError as stopped:
            raise typer.Exit(128 + signal.Signals[str(stopped)].value) from None
    if stack.warning:
        err.print(f"[yellow]warning:[/yellow] {stack.warning}")
    try:
        with _interruptible():
            victims = _looking(stack.local_hosts) if kill else None
            yield (
                Stage(
                    base_url=ready.base_url, database_url=ready.database_url, tokens=issuer(settings), victims=victims
                ),
                ready,
            )
    finally:
        with progress(quiet=quiet) as steps:
            stack.report_to(steps)
            stack.stop()


def _looking(hosts: Callable[[], list[tuple[str, int]]]) -> Victims:
    async def victims() -> list[Victim]:
        found = await asyncio.to_thread(hosts)
        return [Victim(name, pid) for name, pid in found]

    return victims


def _play(stage: Stage, baskets: list[Basket], source: str, console: Console) -> Result:
    async def perform() -> Result:
        play = Play(stage, baskets, source)
        showing = asyncio.create_task(show_progress(play.scene, console))
        try:
            return await play.perform()
        finally:
            showing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await showing

    try:
        return uvloop.run(perform())
    except HttpError as error:
        raise ClusterError(f"the demo could not go on: {error}") from error


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ray has taken SIGTERM for itself: both signals interrupt the demo, so that its stack is taken down."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
