"""An export that is finished after its person's erasure has begun is not kept: the erasure would pass it by."""

from pathlib import Path
from typing import Any

from domain.ids import new_id
from services.jobs.running import JobRunner
from services.jobs.service import Jobs
from services.privacy.export import Exporting
from services.privacy.limits import DEFAULTS
from storage.privacy.records import ExportRecord
from tests.serve.house import ManualClock
from tests.services.jobs.memory import MemoryJobs


class NoRows:
    """`storage.privacy.personal.PersonalTables` of somebody who did nothing."""

    async def rows(self, *_: Any) -> Any:
        nothing: tuple[dict[str, Any], ...] = ()
        for row in nothing:
            yield row


class Erased:
    """`storage.privacy.records.PrivacyTables` when the erasure has begun, or not."""

    def __init__(self, *, erased: bool) -> None:
        self.erased = erased
        self.kept: list[ExportRecord] = []

    async def put_export(self, export: ExportRecord) -> bool:
        if not self.erased:
            self.kept.append(export)
        return not self.erased


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def export(records: Erased, folder: Path) -> tuple[str, list[str]]:
    """How the job ended, and what lies in the folder."""
    clock, person = ManualClock(), new_id()
    store = MemoryJobs(clock)
    started = await Jobs(store, clock).start("user_export", person, owner=person, person=person)
    exporting = Exporting(NoRows(), records, None, folder, clock, DEFAULTS)  # type: ignore[arg-type]
    assert await JobRunner(store, {"user_export": exporting.run}, clock).run_due("p1") == 1
    return store.rows[started.id].status, names(folder)


async def test_an_export_is_kept_with_its_file(tmp_path: Path) -> None:
    records = Erased(erased=False)
    status, files = await export(records, tmp_path)
    assert (status, files) == ("succeeded", [f"{records.kept[0].id}.zip.sealed"])


async def test_an_export_that_an_erasure_overtook_leaves_nothing(tmp_path: Path) -> None:
    assert await export(Erased(erased=True), tmp_path) == ("cancelled", [])
