"""A fault for people, and as a line of the results file."""

from rich.table import Table

from loadtests.bench.report import Metrics
from loadtests.drill.faults import FAULTS
from loadtests.drill.restoring import NAME, WHAT, Restored
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
_NEVER_RESTORED = frozenset(
    {"lost", "later_or_doubled", "misplaced", "gaps", "documents_lost", "documents_later", "unreadable", "audit_broken"}
)
_SOME_RESTORED = frozenset({"acknowledged", "acknowledged_later", "documents_sealed", "audit_events"})
"""Metrics of the restore drill that must be 0, and that must not be: without them it proves nothing."""


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


def restored_metrics(restored: Restored) -> Metrics:
    """Counts, and seconds where the name says so."""
    verdict = restored.verdict
    return {
        "acknowledged": verdict.acknowledged,
        "under_way": verdict.unanswered,
        "lost": verdict.lost,
        "later_or_doubled": verdict.duplicated,
        "misplaced": verdict.misplaced,
        "gaps": verdict.gaps,
        "acknowledged_later": restored.later,
        "documents": restored.documents,
        "documents_lost": restored.documents_lost,
        "documents_later": restored.documents_later,
        "documents_sealed": restored.documents_sealed,
        "unreadable": restored.unreadable,
        "audit_events": restored.audit_events,
        "audit_broken": restored.audit_broken,
        "backup_seconds": restored.backup_seconds,
        "restore_seconds": restored.restore_seconds,
    }


def restored_table(restored: Restored) -> Table:
    out = Table(title=f"{NAME}: {WHAT}", title_justify="left", show_header=False)
    out.add_column()
    out.add_column(justify="right")
    for name, figure in restored_metrics(restored).items():
        failed = figure > 0 if name in _NEVER_RESTORED else figure == 0 if name in _SOME_RESTORED else None
        colour = "" if failed is None else "[red]" if failed else "[green]"
        out.add_row(name, f"{colour}{figure:,.6g}")
    return out


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
