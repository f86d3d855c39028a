"""What the demo found out, for people and as JSON."""

from typing import Any

import msgspec
from rich.console import Console

from cluster.console import table
from cluster.demo.reconcile import Count, Verdict


class Kill(msgspec.Struct, frozen=True):
    """The host process that was killed, when (seconds after the first request), and what clients felt of it.

    `longest_pause_ms` is the longest that any request waited that was under way then or began soon after.
    """

    host: str
    pid: int
    at_s: float
    longest_pause_ms: float


class Watching(msgspec.Struct, frozen=True):
    """Trackers over WebSocket. `missed` of them did not see their order through to its delivery."""

    trackers: int
    changes: int
    positions: int
    reconnects: int
    missed: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Times in seconds or milliseconds as named; rates are of the shopping, not of the counting."""

    source: str
    baskets: int
    items: int
    seconds: float
    requests: int
    repeated: int
    requests_per_s: float
    orders_per_s: float
    p50_ms: float
    p99_ms: float
    kill: Kill | None
    accepted: int
    delivered: int
    watching: Watching
    verdict: Verdict
    failures: tuple[str, ...]

    @property
    def good(self) -> bool:
        return self.verdict.clean and not self.watching.missed and not self.failures


def document(result: Result) -> dict[str, Any]:
    """The result as one JSON object, with the answer at the top."""
    verdict = result.verdict
    head = {"ok": result.good, "lost": verdict.lost, "duplicated": verdict.duplicated}
    return (
        head
        | {name: msgspec.to_builtins(getattr(result, name)) for name in result.__struct_fields__ if name != "verdict"}
        | {
            "counts": [msgspec.to_builtins(count) for count in (verdict.expected, *verdict.counts)],
            "problems": list(verdict.problems),
        }
    )


def show(result: Result, console: Console) -> None:
    """Print the counts, the figures and the verdict."""
    verdict = result.verdict
    counts = table("count", "#orders", "#items", "#total EUR", "#lost", "#duplicated", "#wrong", title="Four counts")
    for count in (verdict.expected, *verdict.counts):
        counts.add_row(*_cells(count))
    console.print()
    console.print(counts)
    figures = table("figure", "#value")
    for name, value in _figures(result):
        figures.add_row(name, value)
    console.print()
    console.print(figures)
    for problem in (*verdict.problems, *result.failures[:10]):
        console.print(problem, style="red", markup=False)
    console.print()
    words = f"lost = {verdict.lost}, duplicated = {verdict.duplicated}"
    if result.good:
        console.print(
            f"[bold green]{words}[/]: {result.baskets:,} baskets in, {verdict.counts[-1].orders:,} orders out"
        )
    else:
        console.print(f"[bold red]{words}[/]: the counts do not agree, or something was not seen through")


def _cells(count: Count) -> tuple[str, ...]:
    numbers = (count.lost, count.duplicated + count.not_ours, count.wrong)
    shown = ("", "", "") if count.name == "file" else tuple(str(number) for number in numbers)
    return (count.name, f"{count.orders:,}", f"{count.items:,}", f"{count.total_minor / 100:,.2f}", *shown)


def _figures(result: Result) -> list[tuple[str, str]]:
    watching = result.watching
    seen = (
        f"{watching.trackers:,} orders, {watching.changes:,} changes, "
        f"{watching.positions:,} positions, {watching.missed} missed"
    )
    rows = [
        ("baskets", f"{result.baskets:,} of {result.source}"),
        ("shopping took", f"{result.seconds:.1f} s"),
        ("throughput", f"{result.requests_per_s:,.0f} requests/s, {result.orders_per_s:,.1f} orders/s"),
        ("latency", f"p50 {result.p50_ms:.1f} ms, p99 {result.p99_ms:.1f} ms"),
        ("requests", f"{result.requests:,}, of these sent again {result.repeated:,}"),
        ("accepted, delivered", f"{result.accepted:,}, {result.delivered:,}"),
        ("tracked live", seen),
    ]
    if result.kill is not None:
        kill = result.kill
        rows.append(("killed", f"{kill.host} (pid {kill.pid}) with SIGKILL after {kill.at_s:.1f} s"))
        rows.append(("longest pause at the kill", f"{kill.longest_pause_ms:,.0f} ms"))
    return rows
