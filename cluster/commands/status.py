"""`atrium status`: hosts, shards, live entities, commits, and how far reactions are behind."""

import asyncio
from typing import Any

import asyncpg
import msgspec
import typer

from cluster.console import DataOption, JsonOption, out, print_json, settings_with, table
from cluster.errors import DatabaseError
from cluster.figures import Figures, read_figures
from cluster.running import joined, require_running


def register(app: typer.Typer) -> None:
    app.command("status")(status)


def status(as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show the hosts and figures of the running installation. Exit code 1 if a host does not answer."""
    settings = settings_with(data)
    run = require_running(settings)
    with joined(settings, run) as plan:
        from cluster import rays  # noqa: PLC0415 - see `joined`

        reports = rays.reports(plan)
    try:
        figures = asyncio.run(read_figures(run.database_url))
    except (OSError, asyncpg.PostgresError) as error:
        raise DatabaseError(f"the database does not answer: {error}") from error
    if as_json:
        hosts = [msgspec.to_builtins(report) for report in reports]
        print_json({"base_url": run.base_url, "hosts": hosts, "figures": msgspec.to_builtins(figures)})
    else:
        out.print(f"{run.base_url}  (pid {run.pid})\n")
        _show_hosts(reports)
        _show_figures(figures)
    raise typer.Exit(int(any(report.status is None for report in reports)))


def _show_hosts(reports: list[Any]) -> None:
    rows = table(
        "host", "#pid", "#epoch", "#shards", "live", "#MB", "#commits", "#rows", "#queued", "#executed", "#overdue ms"
    )
    for report in reports:
        found = report.status
        if found is None:
            rows.add_row(report.name, "", "", "", "does not answer")
            continue
        live = ", ".join(f"{count:,} {kind}" for kind, count in sorted(found.live.items())) or "none"
        numbers = (found.commits, found.rows, found.queued_rows, found.executed, found.timers_overdue_ms)
        megabytes = f"{found.live_bytes_estimate / 1e6:,.1f}"
        head = (report.name, str(report.pid), str(found.epoch), str(found.shards))
        rows.add_row(*head, live, megabytes, *(f"{number:,}" for number in numbers))
    out.print(rows)


def _show_figures(figures: Figures) -> None:
    rows = table("figure", "#value")
    rows.add_row("journal", f"{figures.journal_rows:,} rows, {figures.journal_bytes / 1e6:,.1f} MB")
    rows.add_row("snapshots", f"{figures.snapshots:,}")
    rows.add_row("timers overdue", f"{figures.reminders_overdue:,}")
    for lag in figures.lags:
        retrying = f", {lag.retrying:,} being retried" if lag.retrying else ""
        rows.add_row(f"reaction {lag.name}", f"{lag.rows:,} rows behind ({lag.seconds:.1f} s){retrying}")
    rows.add_row("dead letters", f"{figures.dead_letters:,}")
    out.print()
    out.print(rows)
