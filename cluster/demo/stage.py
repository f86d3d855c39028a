"""Where a demo plays: what is up on the data folder, or a stack of its own for as long as it lasts."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec
import typer

from cluster.commands.token import issuer
from cluster.commands.up import progress
from cluster.console import err
from cluster.datadir import DataDir
from cluster.running import joined
from cluster.stack import Ready, Stack, StopRequestedError
from cluster.stores import is_free_port, open_keys
from services.tokens import Tokens
from storage.crypto import KeyRing
from storage.embedded.process import free_port
from storage.settings import Settings


class Victim(msgspec.Struct, frozen=True):
    """An entity host on this machine."""

    name: str
    pid: int


Victims = Callable[[], Awaitable[Sequence[Victim]]]


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Where a demo plays. `victims` None: nobody is killed. `keys` open the journal, for who counts there."""

    base_url: str
    database_url: str
    tokens: Tokens
    victims: Victims | None
    keys: Callable[[], Awaitable[KeyRing]] | None = None


@contextmanager
def on_stage(settings: Settings, *, kill: bool, quiet: bool, own_port: bool) -> Iterator[tuple[Stage, Ready | None]]:
    """The running stack of the data folder, or one of our own (then with how to reach it) for the time of the block.

    `own_port`: nobody asked for the port in the settings, so another will do.
    """
    run = DataDir(settings.data_dir).running()
    if run is not None:
        with joined(settings, run) as plan:
            from cluster import rays  # noqa: PLC0415 - see `joined`

            victims = _looking(lambda: rays.local_hosts(rays.hosts(plan))) if kill else None
            yield (
                Stage(
                    base_url=run.base_url,
                    database_url=run.database_url,
                    tokens=issuer(settings),
                    victims=victims,
                    keys=partial(open_keys, settings, run.database_url),
                ),
                None,
            )
        return
    if own_port and not is_free_port(settings.port):
        settings = settings.model_copy(update={"port": free_port()})
    settings = settings.model_copy(update={"rate_limits": False})  # a day of many people comes from one address
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
                    base_url=ready.base_url,
                    database_url=ready.database_url,
                    tokens=issuer(settings),
                    victims=victims,
                    keys=partial(open_keys, settings, ready.database_url),
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


@contextmanager
def _interruptible() -> Iterator[None]:
    """Both signals interrupt the demo, so that its stack is taken down; Ray has taken SIGTERM for itself.

    By Python's own handler: a running loop puts a cancellation in its place. An exception that is raised wherever the
    process happens to be could be lost in a callback of the loop.
    """

    def as_ctrl_c(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    wanted: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: as_ctrl_c}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
