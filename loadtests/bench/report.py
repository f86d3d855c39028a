"""Progress and the table against targets on stderr, the result line on stdout, the record in a file."""

import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from loadtests.bench.targets import TARGETS, Target, missed

RESULTS: Final = Path("bench") / "results.jsonl"

Metrics = dict[str, float]


class Progress:
    """Says what is being done. `step` names a phase and prints how long it took; `note` prints a finding."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        started = time.perf_counter()
        with self.console.status(text):
            yield
        self.console.print(f"  [green]✓[/green] {text} [dim]{time.perf_counter() - started:.1f} s[/dim]")

    def note(self, text: str) -> None:
        self.console.print(f"    {text}")


def machine() -> dict[str, Any]:
    """What the figures were measured on; names no host and no user."""
    return {
        "cores": os.cpu_count() or 0,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }


def table(name: str, metrics: Mapping[str, float]) -> Table:
    targets = {target.metric: target for target in TARGETS[name]}
    failing = {target.metric for target in missed(name, metrics)}
    out = Table(title=name, title_justify="left")
    out.add_column("metric")
    out.add_column("measured", justify="right")
    out.add_column("target", justify="right")
    out.add_column("")
    for metric in (*metrics, *(metric for metric in targets if metric not in metrics)):
        target: Target | None = targets.get(metric)
        figure = f"{metrics[metric]:,.6g}" if metric in metrics else "—"
        verdict = "" if target is None else "[red]missed[/red]" if metric in failing else "[green]met[/green]"
        out.add_row(metric, figure, "" if target is None else str(target), verdict)
    return out


def record(name: str, metrics: Mapping[str, float], path: Path = RESULTS) -> None:
    """Append one line to the results file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "name": name,
        "metrics": dict(metrics),
        "machine": machine(),
    }
    with path.open("ab") as out:
        out.write(msgspec.json.encode(line) + b"\n")


def result_line(name: str, metrics: Mapping[str, float]) -> str:
    return msgspec.json.encode({"name": name, "metrics": dict(metrics)}).decode()
