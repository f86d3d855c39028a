"""What the play has shown, for people and as JSON."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape

from cluster.console import table
from cluster.demo.tablets.evidence import Check
from cluster.demo.tablets.play import Result
from cluster.demo.tablets.view import Step


def document(result: Result, steps: Iterable[Step]) -> dict[str, Any]:
    """The result as one JSON object, with the answer at the top."""
    verdict, kill = result.verdict, result.kill
    rows = () if verdict is None else verdict.rows
    found: dict[str, Any] = {
        "ok": result.good,
        "lost": None if verdict is None else verdict.lost,
        "duplicated": None if verdict is None else verdict.duplicated,
        "seconds": result.seconds,
        "edits": result.edits,
        "edits_offline": result.edits_offline,
        "kill": None if kill is None else {"host": kill.host, "pid": kill.pid, "pause_ms": kill.pause_ms},
        "rows": [{"what": row.what, "expected": row.expected, "seen": row.seen, "ok": row.ok} for row in rows],
        "steps": [{"at_s": step.at_s, "text": step.text} for step in steps],
    }
    return found | {"failure": result.failure} if result.failure else found


def show(result: Result, console: Console) -> None:
    """Print the reconciliation, the figures and the verdict."""
    verdict = result.verdict
    if verdict is None:
        console.print(f"[bold red]the play could not go on:[/] {escape(result.failure)}", soft_wrap=True)
        return
    parts = (("edit", verdict.edits), ("screen", verdict.screens), ("fact", verdict.checks))
    for name, rows in parts:
        _show_rows(name, rows, console)
    console.print()
    console.print(f"{result.edits} edits, {result.edits_offline} of them offline, in {result.seconds:.1f} s")
    if result.kill is not None:
        kill = result.kill
        console.print(
            f"{kill.host} (pid {kill.pid}) killed with SIGKILL: the first result came {kill.pause_ms:,.0f} ms later"
        )
    words = f"lost = {verdict.lost}, duplicated = {verdict.duplicated}"
    wrong = sum(not row.ok for row in verdict.rows)
    if result.good:
        console.print(f"[bold green]{words}[/]: all {len(verdict.rows)} rows are as expected")
    else:
        console.print(f"[bold red]{words}[/]: {wrong} of {len(verdict.rows)} rows are not as expected")


def _show_rows(name: str, rows: Iterable[Check], console: Console) -> None:
    shown = table(name, "expected", "seen", "")
    for row in rows:
        seen = "the same" if row.ok else f"[bold red]{escape(row.seen)}[/]"
        shown.add_row(escape(row.what), escape(row.expected), seen, "[green]ok[/]" if row.ok else "[bold red]NO[/]")
    console.print()
    console.print(shown)
