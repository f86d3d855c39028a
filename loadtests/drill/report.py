"""A fault for people, and as a line of the results file."""

from rich.table import Table

from loadtests.bench.report import Metrics
from loadtests.drill.faults import FAULTS
from loadtests.drill.run import Report

_NEVER = frozenset(
    {
        "lost",
        "duplicated",
        "misplaced",
        "gaps",
        "disagreements",
        "refused",
        "delivered_backwards",
        "delivered_skipping",
        "diverged",
    }
)
"""Metrics that must be 0."""


def metrics(report: Report) -> Metrics:
    """Counts, and milliseconds where the name says so."""
    outcome, verdict = report.outcome, report.outcome.verdict
    return {
        "acknowledged": verdict.acknowledged,
        "lost": verdict.lost,
        "duplicated": verdict.duplicated,
        "misplaced": verdict.misplaced,
        "gaps": verdict.gaps,
        "disagreements": verdict.disagreements,
        "unanswered": verdict.unanswered,
        "refused": sum(report.refused.values()),
        "repeated": report.repeats,
        "reconnects": report.reconnects,
        "longest_pause_ms": report.longest_pause_ms,
        "delivered": outcome.delivered,
        "delivered_backwards": outcome.backwards,
        "delivered_skipping": outcome.skipped,
        "diverged": outcome.diverged,
    }


def table(report: Report) -> Table:
    out = Table(title=f"{report.name}: {FAULTS[report.name].what}", title_justify="left", show_header=False)
    out.add_column()
    out.add_column(justify="right")
    for name, figure in metrics(report).items():
        failed = figure > 0 if name in _NEVER else report.paused_too_long if name == "longest_pause_ms" else None
        colour = "" if failed is None else "[red]" if failed else "[green]"
        out.add_row(name, f"{colour}{figure:,.6g}")
    out.add_row("/readyz said", "\n".join(report.readyz))
    return out
