"""The demo while it runs: progress bars on a terminal, a line now and then elsewhere."""

import asyncio
import time
from collections import deque
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cluster.demo.play import Scene

_REFRESH_SECONDS: Final = 0.25
_LINE_SECONDS: Final = 5.0
_WINDOW_SECONDS: Final = 2.0


async def show_progress(scene: Scene, console: Console) -> None:
    """Show the scene until cancelled."""
    if not console.is_terminal:
        await _lines(scene, console)
        return
    bars = Progress(
        TextColumn("{task.description:>12}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    orders = bars.add_task("baskets", total=scene.baskets)
    rate = Rate()
    with Live(console=console, refresh_per_second=int(1 / _REFRESH_SECONDS)) as live:
        while True:
            bars.update(orders, completed=scene.ledger.orders)
            whole = Table.grid()
            whole.add_row(bars)
            whole.add_row(f"  {words(scene, rate.now(len(scene.ledger.timings)))}")
            live.update(whole)
            await asyncio.sleep(_REFRESH_SECONDS)


async def _lines(scene: Scene, console: Console) -> None:
    said = ""
    rate = Rate()
    spoken = time.monotonic()
    killed = False
    while True:
        current = rate.now(len(scene.ledger.timings))
        if scene.step != said or time.monotonic() - spoken > _LINE_SECONDS:
            said, spoken = scene.step, time.monotonic()
            console.print(words(scene, current), style="dim")
        if scene.killed is not None and not killed:
            killed = True
            console.print(f"killed {scene.killed.name} (pid {scene.killed.pid})", style="bold")
        await asyncio.sleep(_REFRESH_SECONDS)


class Rate:
    """Requests per second over the last moments, from how many there have been."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def now(self, count: int) -> float:
        at = time.monotonic()
        self._samples.append((at, count))
        while at - self._samples[0][0] > _WINDOW_SECONDS:
            self._samples.popleft()
        begin, before = self._samples[0]
        return (count - before) / (at - begin) if at > begin else 0.0


def words(scene: Scene, rate: float) -> str:
    """Where the demo is, in one line. `rate` in requests per second."""
    ledger = scene.ledger
    parts = [scene.step, f"{ledger.orders:,} of {scene.baskets:,} ordered"]
    if rate:
        parts.append(f"{rate:,.0f} requests/s")
    if scene.floor is not None and scene.floor.deliveries:
        parts.append(f"{len(ledger.delivered):,} of {scene.floor.deliveries:,} delivered")
    if scene.trackers is not None and scene.trackers.open:
        parts.append(f"{scene.trackers.open:,} tracked live")
    if scene.killed is not None:
        parts.append(f"[bold red]{scene.killed.name} killed[/]")
    return " · ".join(parts)
