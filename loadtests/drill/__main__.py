"""`python -m loadtests.drill [NAME …]`: hurt a real stack under load, one fault after the other, and count.

Prints one result line per fault on stdout, progress and tables on stderr, and appends to the results file of the
benchmarks. Exit code 1 when anything was lost, doubled, refused or seen out of order.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Final

import structlog
import uvloop

from loadtests.bench.on_stack import atrium_up
from loadtests.bench.report import Progress, record, result_line
from loadtests.drill.faults import FAULTS
from loadtests.drill.report import metrics, table
from loadtests.drill.run import drill
from loadtests.ground import make_catalog

SECONDS: Final = 12.0
"""Each fault's time under load, by default: nine of them and two starts take less than four minutes."""


async def run(names: Sequence[str], seconds: float, progress: Progress) -> bool:
    """Gives whether every fault was survived without a violation."""
    catalog = make_catalog()
    survived = True
    async with atrium_up(progress, catalog) as stack:
        for name in names:
            fault = FAULTS[name]
            try:
                with progress.step(fault.what):
                    report = await drill(stack, catalog, name, fault, seconds)
            except Exception:
                progress.console.print_exception()
                progress.console.print(f"[red]{name}: could not be counted[/red]")
                survived = False
                continue
            survived = survived and report.violations == 0
            progress.console.print(table(report))
            for answer, count in report.refused.items():
                progress.note(f"[red]{count}\u00d7 {answer}[/red]")
            record(f"drill-{name}", metrics(report))
            print(result_line(f"drill-{name}", metrics(report)), flush=True)
    return survived


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtests.drill", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(FAULTS)}; all by default")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"time of each fault (default {SECONDS:g})")
    options = parser.parse_args(argv)
    names = options.names or list(FAULTS)
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        parser.error(f"no fault {unknown[0]}; there are {', '.join(FAULTS)}")
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for results
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        survived = runner.run(run(names, options.seconds, Progress()))
    return 0 if survived else 1


if __name__ == "__main__":
    sys.exit(main())
