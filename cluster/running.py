"""The running stack of a data folder, for commands that look into it from another process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cluster.datadir import DataDir, RunInfo
from cluster.errors import NotRunningError
from storage.settings import Settings

if TYPE_CHECKING:
    from cluster.rays import Plan


def require_running(settings: Settings) -> RunInfo:
    """Raises `NotRunningError`."""
    data = DataDir(settings.data_dir)
    run = data.running()
    if run is None:
        raise NotRunningError(f"nothing runs on {data.folder}; start it with `atrium up`")
    return run


@contextmanager
def joined(settings: Settings, run: RunInfo) -> Iterator["Plan"]:
    """This process as a member of the stack's Ray, until the block ends. Raises `ClusterError`."""
    os.environ.setdefault("RAY_SERVE_LOG_TO_STDERR", "0")
    from cluster import rays  # noqa: PLC0415 - takes more than a second, which other commands are spared

    rays.join_ray(run.ray_address)
    try:
        yield rays.plan(settings, DataDir(settings.data_dir), run.database_url, run.redis_url)
    finally:
        rays.stop_ray()
