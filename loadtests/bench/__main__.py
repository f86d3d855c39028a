"""`python -m loadtests.bench [NAME …]`: run benchmarks (all by default) and hold them against their targets.

Prints one result line per benchmark on stdout, progress and tables on stderr. Exit code 1 when a target was
missed or a benchmark failed.
"""

import argparse
import asyncio
import importlib
import sys
from collections.abc import Sequence
from typing import Protocol, cast

import structlog
import uvloop

from loadtests.bench.report import Metrics, Progress, record, result_line, table
from loadtests.bench.targets import TARGETS, missed


class Benchmark(Protocol):
    """A module `loadtests.bench.<name>`."""

    async def run(self, progress: Progress) -> Metrics: ...


def _run_one(name: str, progress: Progress) -> bool:
    """Measure, print, record. Gives whether every target was met."""
    progress.console.rule(f"[bold]{name}")
    module = cast("Benchmark", importlib.import_module(f"loadtests.bench.{name}"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        metrics = runner.run(module.run(progress))
    progress.console.print(table(name, metrics))
    record(name, metrics)
    failing = missed(name, metrics)
    for target in failing:
        figure = metrics.get(target.metric, float("nan"))
        progress.console.print(f"[red]{name}: {target.metric} is {figure:,.6g}, the target is {target}[/red]")
    print(result_line(name, metrics), flush=True)
    return not failing


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(TARGETS)}; all by default")
    names = parser.parse_args(argv).names or list(TARGETS)
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        parser.error(f"no benchmark {unknown[0]}; there are {', '.join(TARGETS)}")
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for results
    progress = Progress()
    met = True
    for name in names:
        try:
            met = _run_one(name, progress) and met
        except Exception:
            progress.console.print_exception()
            progress.console.print(f"[red]{name}: failed before it measured anything[/red]")
            met = False
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
