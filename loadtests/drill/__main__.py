"""`python -m loadtests.drill [NAME …]`: hurt a real stack under load, one fault after the other, and count.

Prints one result line per fault on stdout, progress and tables on stderr, and appends to the results file of the
benchmarks. Exit code 1 when anything was lost, doubled, refused or seen out of order. `restore` brings the stack back
as it was at a moment of the load, elsewhere, and counts there.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Final

import structlog
import uvloop

from loadtests.bench.on_stack import atrium_up
from loadtests.bench.report import Metrics, Progress, record, result_line
from loadtests.drill import restoring
from loadtests.drill.faults import FAULTS
from loadtests.drill.report import metrics, restored_metrics, restored_table, table
from loadtests.drill.run import Report, drill
from loadtests.ground import make_catalog

DRILLS: Final = {restoring.NAME: restoring.WHAT} | {name: fault.what for name, fault in FAULTS.items()}
"""What can be drilled: the restore first, while nothing has been hurt."""
SECONDS: Final = 12.0
"""Each fault's time under load, by default: nine of them and two starts take less than four minutes."""


async def run(names: Sequence[str], seconds: float, progress: Progress) -> bool:
    """Gives whether every fault was survived without a violation."""
    catalog = make_catalog()
    survived = True
    async with atrium_up(progress, catalog) as stack:
        for name in names:
            try:
                with progress.step(DRILLS[name]):
                    if name == restoring.NAME:
                        survived &= _restored(await restoring.drill(stack, catalog, seconds), progress)
                    else:
                        survived &= _survived(await drill(stack, catalog, name, FAULTS[name], seconds), progress)
            except Exception:
                progress.console.print_exception()
                progress.console.print(f"[red]{name}: could not be counted[/red]")
                survived = False
    return survived


def _survived(report: Report, progress: Progress) -> bool:
    progress.console.print(table(report))
    for answer, count in report.refused.items():
        progress.note(f"[red]{count}\u00d7 {answer}[/red]")
    _tell(report.name, metrics(report))
    return report.violations == 0


def _restored(restored: restoring.Restored, progress: Progress) -> bool:
    progress.console.print(restored_table(restored))
    _tell(restoring.NAME, restored_metrics(restored))
    return restored.violations == 0


def _tell(name: str, figures: Metrics) -> None:
    record(f"drill-{name}", figures)
    print(result_line(f"drill-{name}", figures), flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtests.drill", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(DRILLS)}; all by default")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"time of each fault (default {SECONDS:g})")
    options = parser.parse_args(argv)
    names = options.names or list(DRILLS)
    unknown = [name for name in names if name not in DRILLS]
    if unknown:
        parser.error(f"no fault {unknown[0]}; there are {', '.join(DRILLS)}")
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for results
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        survived = runner.run(run(names, options.seconds, Progress()))
    return 0 if survived else 1


if __name__ == "__main__":
    sys.exit(main())
