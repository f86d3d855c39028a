"""The data folder of an installation: who runs on it, what runs there, what an earlier run left behind.

lock         held by the one `atrium up` of this folder
run.json     what is running: how to reach it, and the id that marks its processes
postgres/ redis/ keys/ logs/ backups/
"""

import fcntl
import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

import msgspec
import psutil

from cluster.errors import AlreadyRunningError, BadSettingsError

STACK_VARIABLE: Final = "ATRIUM_STACK"
"""Environment variable that every process of a stack inherits. It holds the stack's id, which is never reused:
so a process that carries it is ours, whatever became of its parent and its pid."""

_SHORT_TEMP: Final = Path("/tmp")  # noqa: S108 - the folder below it is ours, and made with mode 0700
_STORES: Final = frozenset({"postgres", "redis-server"})


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A running stack. `pid` and `started` (psutil's create time) identify the `atrium up` process."""

    stack: str
    pid: int
    started: float
    base_url: str = ""
    database_url: str = ""
    redis_url: str = ""
    ray_address: str = ""
    dashboard_url: str = ""

    def alive(self) -> bool:
        """Whether that very process still runs."""
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) < 0.01
        except psutil.Error:
            return False


class DataDir:
    """Paths below one folder, its lock and its run file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.postgres = self.folder / "postgres"
        self.redis = self.folder / "redis"
        self.keys = self.folder / "keys"
        self.logs = self.folder / "logs"
        self._run = self.folder / "run.json"
        self._lock = self.folder / "lock"
        self._held: int | None = None

    @property
    def ray_temp(self) -> Path:
        """Session files of Ray and HAProxy. Not in the folder: the paths of their sockets may have 97 characters."""
        mark = hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]
        return _SHORT_TEMP / f"atrium-{mark}"

    def lock(self) -> None:
        """Become the one that runs on this folder, until `unlock` or the end of the process.

        Raises `AlreadyRunningError`, `BadSettingsError` (not a folder, no permission).
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise BadSettingsError(f"the data folder {self.folder} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            run = self.read_run()
            who = f" (pid {run.pid}, {run.base_url})" if run is not None and run.base_url else ""
            raise AlreadyRunningError(f"atrium already runs on {self.folder}{who}") from None
        self._held = handle

    def unlock(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def read_run(self) -> RunInfo | None:
        """What the run file says, of a run that may have ended; None without one."""
        try:
            return msgspec.json.decode(self._run.read_bytes(), type=RunInfo)
        except (OSError, msgspec.DecodeError):
            return None

    def running(self) -> RunInfo | None:
        """The stack that is up on this folder now."""
        run = self.read_run()
        return run if run is not None and run.base_url and run.alive() else None

    def write_run(self, run: RunInfo) -> None:
        """The file holds passwords in URLs: for the owner's eyes only."""
        draft = self._run.with_suffix(".new")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(msgspec.json.encode(run))
        draft.replace(self._run)

    def make_ray_temp(self) -> Path:
        """Make `ray_temp` anew, for nobody but this user. Raises `BadSettingsError`."""
        folder = self.ray_temp
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise BadSettingsError(f"{folder} cannot be made: {error.strerror}") from error
        return folder

    def clear_run(self) -> None:
        self._run.unlink(missing_ok=True)


def processes_of(stack: str, *, stores: bool = False) -> list[psutil.Process]:
    """Live processes that carry this stack's id, except this one; the databases only with `stores`."""
    found = []
    for process in psutil.process_iter(["name", "status"]):
        if process.pid == os.getpid() or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        if not stores and process.info["name"] in _STORES:
            continue
        try:
            if process.environ().get(STACK_VARIABLE) == stack:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # it has gone, or it is another user's and so not ours
    return found


def end_processes(processes: list[psutil.Process], patience_s: float = 0.0) -> int:
    """SIGTERM, `patience_s` to obey (0: none of it), then SIGKILL. Returns how many had to be ended."""
    if patience_s:
        for process in processes:
            _signal(process, "terminate")
        _, processes = psutil.wait_procs(processes, timeout=patience_s)
    for process in processes:
        _signal(process, "kill")
    psutil.wait_procs(processes, timeout=10.0)
    return len(processes)


def end_stack(stack: str) -> int:
    """End all that is left of a stack but its databases, also what is started meanwhile; returns the count."""
    ended = 0
    for _ in range(5):
        left = processes_of(stack)
        if not left:
            break
        ended += end_processes(left)
    return ended


def _signal(process: psutil.Process, how: str) -> None:
    try:
        getattr(process, how)()
    except psutil.Error:
        return
