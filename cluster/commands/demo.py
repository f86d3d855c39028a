"""`atrium demo`: baskets through the whole stack, or two tablets and a board, while hosts are killed; nothing lost."""

import asyncio
import contextlib
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from cluster.commands.up import show, wait_for_signal
from cluster.console import JsonOption, err, out, print_json, settings_with
from cluster.demo import report
from cluster.demo.baskets import COLUMNS, Basket, load
from cluster.demo.play import Play
from cluster.demo.report import Result
from cluster.demo.show import show_progress
from cluster.demo.stage import Stage, on_stage
from cluster.demo.tablets import report as tablets_report
from cluster.demo.tablets.play import Play as TabletsPlay
from cluster.demo.tablets.play import Result as TabletsResult
from cluster.demo.tablets.show import PACE_S, show_play
from cluster.errors import BadSettingsError, ClusterError
from cluster.stack import Ready
from realtime.client.http import HttpError
from storage.settings import Settings

DEFAULT_BASKETS = 6_000
"""So many made-up baskets without a file: about two minutes with the start, on two cores."""

BasketsOption = Annotated[
    Path | None,
    typer.Option("--baskets", envvar="ATRIUM_BASKETS", help=f"CSV, plain or gz: {','.join(COLUMNS)}."),
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first so many baskets.")]
FolderOption = Annotated[Path | None, typer.Option("--data", help="Folder for data and logs (default ./.atrium).")]
PortOption = Annotated[int | None, typer.Option("--port", help="Port to serve on (default 8000, or a free one).")]
KillOption = Annotated[bool, typer.Option("--kill/--no-kill", help="Kill an entity host halfway.")]
KeepOption = Annotated[bool, typer.Option("--keep", help="Stay up afterwards, until Ctrl-C.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})
    group.callback(invoke_without_command=True)(demo)
    group.command("tablets")(tablets)
    group.command("tour")(tour)
    app.add_typer(group, name="demo")


def demo(
    context: typer.Context,
    baskets: BasketsOption = None,
    limit: LimitOption = None,
    data: FolderOption = None,
    port: PortOption = None,
    kill: KillOption = True,
    keep: KeepOption = False,
    as_json: JsonOption = False,
) -> None:
    """Replay baskets as carts and orders through HTTP and WebSocket, kill a host halfway, and count what is left.

    Runs against what is up on the data folder, or brings up a stack of its own. Exit code 1 unless all counts agree.
    """
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    loaded, source = _loaded(baskets, limit)
    settings = settings_with(data, port=port)
    with on_stage(settings, kill=kill, quiet=as_json, own_port=port is None) as (stage, ready):
        result = _shop(stage, loaded, source, err if as_json else out)
        _report_orders(result, as_json=as_json)
        _stay(keep, ready, settings, as_json=as_json)
    raise typer.Exit(int(not result.good))


def tablets(
    data: FolderOption = None,
    port: PortOption = None,
    kill: Annotated[bool, typer.Option("--kill/--no-kill", help="Kill the host of a provider session.")] = True,
    keep: KeepOption = False,
    pace: Annotated[
        float | None, typer.Option("--pace", min=0, help=f"Seconds after each step (default {PACE_S} on a terminal).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Two tablets chart one patient offline, come back, and agree with each other, the server and the board.

    Runs against what is up on the data folder, or brings up a stack of its own. Exit code 1 on any mismatch.
    """
    settings = settings_with(data, port=port)
    with on_stage(settings, kill=kill, quiet=as_json, own_port=port is None) as (stage, ready):
        play, result = _chart(stage, pace, err if as_json else out)
        code = report_tablets(play, result, as_json=as_json)
        _stay(keep, ready, settings, as_json=as_json)
    raise typer.Exit(code)


def tour(
    baskets: BasketsOption = None,
    limit: LimitOption = None,
    data: FolderOption = None,
    port: PortOption = None,
    kill: KillOption = True,
    keep: KeepOption = False,
    as_json: JsonOption = False,
) -> None:
    """Both, on one stack: the baskets, then the tablets. Exit code 1 unless both come out right."""
    loaded, source = _loaded(baskets, limit)
    settings, said = settings_with(data, port=port), err if as_json else out
    with on_stage(settings, kill=kill, quiet=as_json, own_port=port is None) as (stage, ready):
        shopped = _shop(stage, loaded, source, said)
        if not as_json:
            report.show(shopped, out)
            out.print("\n[bold]Two tablets and a board[/]\n")
        play, charted = _chart(stage, None, said)
        good = shopped.good and charted.good
        if as_json:
            apart = {"tablets": tablets_report.document(charted, play.steps)}
            print_json(report.document(shopped) | apart | {"ok": good})
        else:
            tablets_report.show(charted, out)
        _stay(keep, ready, settings, as_json=as_json)
    raise typer.Exit(int(not good))


def report_tablets(play: TabletsPlay, result: TabletsResult, *, as_json: bool) -> int:
    """Print what came of it; the exit code."""
    if as_json:
        print_json(tablets_report.document(result, play.steps))
    else:
        tablets_report.show(result, out)
    return int(not result.good)


def _refuse_options(context: typer.Context) -> None:
    """Options of this command before the name of another one would silently mean nothing."""
    sources = [context.get_parameter_source(name) for name in context.params]
    if any(source is not None and source.name == "COMMANDLINE" for source in sources):
        raise BadSettingsError(f"give the options after `{context.invoked_subcommand}`")


def _report_orders(result: Result, *, as_json: bool) -> None:
    if as_json:
        print_json(report.document(result))
    else:
        report.show(result, out)


def _stay(keep: bool, ready: Ready | None, settings: Settings, *, as_json: bool) -> None:
    """Only with a stack of our own; somebody else's stays up anyway."""
    if keep and ready is not None:
        show(ready, settings) if not as_json else print_json(ready)
        wait_for_signal()


def _loaded(baskets: Path | None, limit: int | None) -> tuple[list[Basket], str]:
    return load(baskets, limit, DEFAULT_BASKETS), "a made-up sample" if baskets is None else baskets.name


def _shop(stage: Stage, baskets: list[Basket], source: str, console: Console) -> Result:
    async def perform() -> Result:
        play = Play(stage, baskets, source)
        async with _beside(show_progress(play.scene, console)):
            return await play.perform()

    try:
        return uvloop.run(perform())
    except HttpError as error:
        raise ClusterError(f"the demo could not go on: {error}") from error


def _chart(stage: Stage, pace: float | None, console: Console) -> tuple[TabletsPlay, TabletsResult]:
    async def perform() -> tuple[TabletsPlay, TabletsResult]:
        watched = PACE_S if console.is_terminal else 0.0
        play = TabletsPlay(stage, watched if pace is None else pace)
        async with _beside(show_play(play, console)):
            return play, await play.perform()

    return uvloop.run(perform())


@contextlib.asynccontextmanager
async def _beside(showing: Coroutine[Any, Any, None]) -> Any:
    """Have it run for as long as the block takes."""
    task = asyncio.create_task(showing)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
