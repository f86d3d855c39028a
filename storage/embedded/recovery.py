"""A new server from a backup and the archived log, as it was at a moment (point-in-time recovery)."""

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from storage.embedded.archive import restore_settings
from storage.embedded.backup import BackupError, restore
from storage.embedded.postgres import EmbeddedPostgres
from storage.embedded.process import EmbeddedServerError

RECOVERY_SECONDS_MAX: Final = 6 * 3_600.0
"""A recovery that takes longer is given up."""

SIGNAL: Final = "recovery.signal"
"""Postgres removes it when it has recovered."""

_ENDS_EARLY: Final = "recovery ended before configured recovery target was reached"


def recover(source: Path, folder: Path, wal: Sequence[Path], until: datetime | None) -> None:
    """Make the server on `folder`, which must not be there, of the backup `source` and the log in the folders `wal`.

    With all that was committed up to and including `until`, and nothing that was later; None: with all of the log.
    Raises `BackupError`, `OSError`, `EmbeddedServerError`; then there is nothing.
    """
    missing = [str(each) for each in wal if not each.is_dir()]
    if missing or not wal:
        raise BackupError(f"there is no archived log in {', '.join(missing) or 'any folder'}")
    draft = folder.with_name(f".{folder.name}.recovering")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        restore(source, draft)
        server = EmbeddedPostgres(draft)
        for each in wal:
            server.let_read(each)
        (server.data / SIGNAL).touch()
        server.own(server.data)
        _run(server, wal, until)
        if (server.data / SIGNAL).exists():
            raise BackupError("the recovery did not come to its end")
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _run(server: EmbeddedPostgres, wal: Sequence[Path], until: datetime | None) -> None:
    # Without hot standby, "ready" is said when the recovery is over, and not before.
    settings = restore_settings([each.absolute() for each in wal]) | {"hot_standby": "off"}
    if until is not None:
        moment = until.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
        settings |= {"recovery_target_time": moment, "recovery_target_action": "promote"}
    try:
        server.start(settings, patience_s=RECOVERY_SECONDS_MAX)
    except EmbeddedServerError as error:
        if _ENDS_EARLY in str(error):
            raise BackupError(
                f"the archived log has nothing later than {until}: it ends before, or nothing was written since; "
                "all of it is restored with --to-latest"
            ) from None
        raise BackupError(f"the recovery failed: {error}") from error
    finally:
        server.stop()
