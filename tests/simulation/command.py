"""`python -m tests.simulation --seeds 10000`: run many seeds, stop at nothing, print how to replay what failed.

Not in `__main__.py`, because the processes that share the seeds import it. `tests.simulation.tablets` has the same.

Exit code 1 if any seed broke a promise. `--seed N` runs one seed and prints its whole trace.
"""

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.simulation.run import DEFAULT_STEPS, Result, simulate

Simulate = Callable[..., Result]
Job = tuple[Simulate, int, int]
"""How, which seed, and how many requests."""

RUNTIME = "tests.simulation"
_SHOWN_MAX = 5
_TAIL_LINES = 40


def main(module: str = RUNTIME, simulate: Simulate = simulate, steps: int = DEFAULT_STEPS) -> int:
    """`steps`: how many requests a seed makes unless told otherwise."""
    options = _options(module, steps)
    if options.seed is not None:
        return _one(simulate, options.seed, options.steps)
    seeds = range(options.first, options.first + options.seeds)
    return _many(module, [(simulate, seed, options.steps) for seed in seeds], options.processes)


def _options(module: str, steps: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many seeds (default 300)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--seed", type=int, help="run this one and print its trace")
    parser.add_argument("--steps", type=int, default=steps, help="requests per seed")
    parser.add_argument("--processes", type=int, default=2, help="processes to share the seeds (default 2)")
    return parser.parse_args()


def replay_command(seed: int, steps: int, module: str = RUNTIME) -> str:
    """The command that runs this seed again, event for event."""
    return f"python -m {module} --seed {seed} --steps {steps}"


def report(result: Result, steps: int, module: str = RUNTIME) -> str:
    """What a person needs of a failed seed: the promise, the end of the story, how to see it again."""
    shown = "\n".join(f"  {violation}" for violation in result.violations[:_SHOWN_MAX])
    tail = "\n".join(result.trace[-_TAIL_LINES:])
    replay = replay_command(result.seed, steps, module)
    return f"seed {result.seed} breaks:\n{shown}\nthe last events:\n{tail}\nreplay: {replay}"


def _one(simulate: Simulate, seed: int, steps: int) -> int:
    result = simulate(seed, steps, trace_lines=1_000_000)
    _say("\n".join(result.trace))
    _say(f"{result.virtual_s:.1f} s of virtual time; {dict(result.counts)}")
    for violation in result.violations:
        _say(f"BROKEN {violation}")
    return 1 if result.violations else 0


def _run(job: Job) -> Result:
    simulate, seed, steps = job
    return simulate(seed, steps)


def _results(jobs: list[Job], processes: int) -> Iterator[Result]:
    if processes <= 1:
        yield from map(_run, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(_run, jobs, chunksize=8)


def _many(module: str, jobs: list[Job], processes: int) -> int:
    console = Console(stderr=True)
    steps = jobs[0][2] if jobs else 0
    failed: list[Result] = []
    counts: Counter[str] = Counter()
    virtual_s, begun = 0.0, time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("simulating", total=len(jobs))
        for result in _results(jobs, processes):
            counts.update({what.split(" ")[0]: count for what, count in result.counts.items()})
            virtual_s += result.virtual_s
            if result.violations:
                failed.append(result)
                progress.update(task, description=f"[red]simulating, {len(failed)} failed")
                if len(failed) <= _SHOWN_MAX:
                    progress.console.print(report(result, steps, module), markup=False, highlight=False)
            progress.advance(task)
    seconds = time.monotonic() - begun
    _say(
        f"{len(jobs)} seeds, {len(failed)} failed; {counts['ops']} requests, {counts['rows']} commits, "
        f"{virtual_s / 3600:.1f} virtual hours in {seconds:.0f} s"
    )
    for result in sorted(failed, key=lambda one: one.seed)[:50]:
        _say(f"  {result.violations[0][:160]}\n    {replay_command(result.seed, steps, module)}")
    return 1 if failed else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
