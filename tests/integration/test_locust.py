"""Locust's users, for a few seconds on the whole stack: everybody gets what they ask for."""

import asyncio
import csv
import os
import sys
from pathlib import Path

from loadtests.stack import Stack
from tests.integration.town import ON_THE_STACK

pytestmark = ON_THE_STACK

_NAMES = {
    "tablet: room set_status",
    "tablet: document append_note",
    "tablet: room change",
    "board: snapshot",
    "board: room change",
    "tracker: order change",
    "/carts/{id}/items",
}
_RUN = ("-m", "locust", "-f", "loadtests/locustfile.py", "--headless", "-u", "20", "-r", "20", "-t", "8s")


async def test_tablets_boards_trackers_and_shoppers_are_served(stack: Stack, tmp_path: Path) -> None:
    environment = {**os.environ, "ATRIUM_DATA_DIR": str(stack.folder)}
    figures = tmp_path / "locust"
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, *_RUN, "--only-summary", "--csv", str(figures)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(run.communicate(), 90)
    assert run.returncode == 0, said.decode()
    failed = _failures(Path(f"{figures}_stats.csv"))
    assert failed.keys() >= _NAMES
    assert sum(failed.values()) == 0


def _failures(statistics: Path) -> dict[str, int]:
    """By what was asked."""
    with statistics.open() as rows:
        return {row["Name"]: int(row["Failure Count"]) for row in csv.DictReader(rows)}
