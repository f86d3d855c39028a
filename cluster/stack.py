"""A whole installation in one process, as `atrium up` and the demo run it: databases, Ray, hosts, reactor, gateways.

Ray is started from the main thread: its processes end with the thread that started them, so that even a `kill -9` of
this process leaves little behind. What it leaves (HAProxy, the databases) carries this stack's id in its environment;
the next start on the same data folder ends the one and takes over the other.
"""

import asyncio
import os
import shutil
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import msgspec
import psutil
import structlog

from cluster import ingress
from cluster.commands.token import issuer
from cluster.datadir import STACK_VARIABLE, DataDir, RunInfo, end_processes, end_stack, processes_of
from cluster.errors import ClusterError
from cluster.quiet import rays_lines_in
from cluster.stores import Stores, is_free_port, migrate, open_keys, require_free_port
from cluster.supervisor import Supervisor
from domain.ids import derived_id
from storage.embedded.process import free_port
from storage.logs import configure_logging
from storage.settings import Settings

log = structlog.get_logger("cluster.stack")

if TYPE_CHECKING:
    from cluster import rays

DASHBOARD_PORT: Final = 8265
READY_SECONDS_MAX: Final = 60.0
STOP_SECONDS_MAX: Final = 60.0
"""A stop that takes longer is ended by killing what is left."""
DEVELOPER: Final = derived_id("development", "user")
"""The subject of the development token."""

Report = Callable[[str], None]
"""Told what is being done now, as a few words."""


class HostInfo(msgspec.Struct, frozen=True):
    name: str
    pid: int


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What `atrium up --json` prints: how to reach the stack, and the processes it consists of."""

    ready: bool = True
    base_url: str
    database_url: str
    redis_url: str
    token: str
    hosts: tuple[HostInfo, ...]
    pids: dict[str, Any]
    dashboard_url: str = ""
    ray_address: str = ""


class StopRequestedError(BaseException):
    """SIGINT or SIGTERM while starting. Not an `Exception`: nobody on the way handles it as a failure."""


class Stack:
    """Start once, stop once. `report` is told the steps. Without `gateways`, Serve is somebody else's to deploy."""

    def __init__(
        self,
        settings: Settings,
        *,
        dashboard: bool = True,
        gateways: bool = True,
        report: Report = lambda _: None,
    ) -> None:
        self.settings = settings
        self.data = DataDir(settings.data_dir)
        self.warning = ""
        self._dashboard = dashboard
        self._gateways = gateways
        self._report = report
        self._id = uuid.uuid4().hex
        self._stores: Stores | None = None
        self._supervisor: Supervisor | None = None
        self._plan: rays.Plan | None = None
        self._quiet = ExitStack()
        self._ray = False
        self._serving = False
        self._stopped = False

    def start(self) -> Ready:
        """Bring everything up; on any failure bring down again what was up. Raises `CommandError`."""
        self.data.lock()
        try:
            with _stop_raises():
                return self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> Ready:
        settings, data = self.settings, self.data
        # Before anything logs: what is not configured yet would go to standard output.
        configure_logging(data.logs / "up.log", service="up", level=settings.log_level)
        self._clean_up_after_the_last()
        if self._gateways:
            require_free_port(settings.host, settings.port)
        os.environ[STACK_VARIABLE] = self._id
        data.write_run(RunInfo(stack=self._id, pid=os.getpid(), started=psutil.Process().create_time()))
        stores = self._stores = Stores(settings, data)
        self._report("Postgres")
        stores.start_database()
        self._report("Redis")
        stores.start_redis()
        self._supervisor = Supervisor(stores.embedded())
        self._supervisor.start()
        self._report("migrations")
        migrate(stores.database_url)
        asyncio.run(open_keys(settings, stores.database_url))  # a wrong key is told here, in one line
        ingress.raise_open_files()
        temp = data.make_ray_temp()
        self.warning = ingress.prepare(temp / "h")
        from cluster import rays  # noqa: PLC0415 - Ray reads its environment when it is imported

        self._report("Ray")
        self._quiet.enter_context(rays_lines_in(data.logs / "ray.log"))
        dashboard_port = (DASHBOARD_PORT if is_free_port(DASHBOARD_PORT) else free_port()) if self._dashboard else None
        self._ray = True
        address = rays.start_ray(settings, dashboard_port, str(temp))
        self._report("entity hosts")
        plan = self._plan = rays.plan(settings, data, stores.database_url, stores.redis_url)
        rays.start_hosts(plan)
        base_url = f"http://{_reachable(settings.host)}:{settings.port}"
        if self._gateways:
            self._report("gateways")
            self._serving = True
            rays.start_gateways(plan)
            self._report("first request")
            _await_ready(settings.host, settings.port)
        ready = self._ready(base_url, address, dashboard_port, rays.hosts(plan))
        data.write_run(
            RunInfo(
                stack=self._id,
                pid=os.getpid(),
                started=psutil.Process().create_time(),
                base_url=base_url,
                database_url=ready.database_url,
                redis_url=ready.redis_url,
                ray_address=address,
                dashboard_url=ready.dashboard_url,
            )
        )
        log.info("stack_ready", base_url=base_url, hosts=len(ready.hosts))
        return ready

    def _clean_up_after_the_last(self) -> None:
        last = self.data.read_run()
        if last is None or last.stack == self._id:
            return
        self._report("what the last run left")
        ended = end_stack(last.stack)
        if ended:
            log.warning("leftovers_ended", count=ended)
        self.data.clear_run()

    def local_hosts(self) -> list[tuple[str, int]]:
        """(name, pid) of the entity hosts on this machine, as they are now."""
        from cluster import rays  # noqa: PLC0415 - see `_start`

        assert self._plan is not None  # noqa: S101 - started
        return rays.local_hosts(rays.hosts(self._plan))

    def _ready(self, base_url: str, address: str, dashboard_port: int | None, hosts: list[tuple[str, int]]) -> Ready:
        assert self._stores is not None  # noqa: S101 - started
        roles = ("admin", "customer")
        return Ready(
            base_url=base_url,
            database_url=self._stores.database_url,
            redis_url=self._stores.redis_url,
            token=issuer(self.settings).issue(DEVELOPER, roles, ttl_seconds=30 * 86_400),
            hosts=tuple(HostInfo(name, pid) for name, pid in hosts),
            pids=self.pids(),
            dashboard_url=f"http://127.0.0.1:{dashboard_port}" if dashboard_port and self._dashboard else "",
            ray_address=address,
        )

    def pids(self) -> dict[str, Any]:
        """The processes of this stack on this machine by what they are. Names with several hold lists."""
        found: dict[str, Any] = {"up": os.getpid(), "gateways": [], "haproxy": []}
        if self._stores is not None:
            for name, server in (("postgres", self._stores.postgres), ("redis", self._stores.redis)):
                if server is not None and server.pid is not None:
                    found[name] = server.pid
        for process in processes_of(self._id):
            try:
                name, title = process.name(), " ".join(process.cmdline())
            except psutil.Error:
                continue
            if title.startswith("ray::ServeReplica"):
                found["gateways"].append(process.pid)
            elif name.startswith("haproxy"):
                found["haproxy"].append(process.pid)
            elif name in {"raylet", "gcs_server"}:
                found[name] = process.pid
        return found

    def report_to(self, report: Report) -> None:
        """Tell the next steps to somebody else."""
        self._report = report

    def stop(self) -> None:
        """Drain and end everything that `start` began; returns when no process of it is left. Safe to repeat."""
        if self._stopped:
            return
        self._stopped = True
        watchdog = threading.Timer(STOP_SECONDS_MAX, self._kill_everything)
        watchdog.daemon = True
        watchdog.start()
        with _signals_ignored():
            try:
                self._drain()
            finally:
                watchdog.cancel()
                end_stack(self._id)
                if self._supervisor is not None:
                    self._supervisor.stop()
                if self._stores is not None:
                    self._report("stopping the databases")
                    self._stores.stop()
                self._quiet.close()
                if self._ray:
                    shutil.rmtree(self.data.ray_temp, ignore_errors=True)
                run = self.data.read_run()
                if run is not None and run.stack == self._id:
                    self.data.clear_run()
                self.data.unlock()

    def _drain(self) -> None:
        if not self._ray:
            return
        from cluster import rays  # noqa: PLC0415 - see `_start`

        if self._serving:
            self._report("draining the gateways")
            _attempt("gateways", lambda: rays.stop_gateways(self.settings))
        self._report("draining the entity hosts")
        _attempt("hosts", rays.stop_hosts)
        self._report("stopping Ray")
        _attempt("ray", rays.stop_ray)

    def _kill_everything(self) -> None:
        """The last resort, from the watchdog's thread: whatever hangs, hangs on one of these."""
        log.error("stop_took_too_long", seconds=STOP_SECONDS_MAX)
        end_processes(processes_of(self._id))


def _attempt(what: str, action: Callable[[], None]) -> None:
    """A part that cannot be stopped in good order must not keep the others from it; the end comes by pid."""
    try:
        action()
    except Exception as error:
        log.warning("not_stopped_in_order", part=what, error=repr(error))


def _reachable(host: str) -> str:
    """The address under which a client on this machine reaches what listens on `host`."""
    if host in {"0.0.0.0", ""}:  # noqa: S104 - compared
        return "127.0.0.1"
    return "[::1]" if host == "::" else f"[{host}]" if ":" in host else host


def _await_ready(host: str, port: int) -> None:
    """Poll `/readyz` until it says 200. Raises `ClusterError`."""
    target = _reachable(host).strip("[]")
    deadline = time.monotonic() + READY_SECONDS_MAX
    answer = "no answer"
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((target, port), timeout=2.0) as probe:
                probe.settimeout(5.0)
                probe.sendall(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                answer = probe.makefile("rb").readline().decode("latin-1").strip() or "an empty answer"
        except OSError as error:
            answer = str(error)
        if answer.split(" ")[1:2] == ["200"]:
            return
        time.sleep(0.1)
    raise ClusterError(f"the gateways did not become ready in {READY_SECONDS_MAX:g} s: {answer}")


@contextmanager
def _stop_raises() -> Iterator[None]:
    """Within, SIGINT and SIGTERM raise `StopRequestedError` in the main thread."""

    def stop(number: int, _: FrameType | None) -> None:
        raise StopRequestedError(signal.Signals(number).name)

    with _handling(stop):
        yield


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """Within, a second Ctrl-C does not interrupt the stop."""
    with _handling(signal.SIG_IGN):
        yield


@contextmanager
def _handling(handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
