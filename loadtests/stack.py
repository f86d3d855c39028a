"""A whole Atrium of its own: `atrium up` as a child process on a temporary data folder and a free port."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import psutil

from actors.runtime.host_actor import RuntimeConfig
from actors.runtime.ray_cluster import host_reports, init_ray, remove_host, shutdown_ray
from cluster.commands.token import issuer
from cluster.datadir import DataDir, RunInfo, end_processes, end_stack, processes_of
from loadtests.customer import PREFIX
from services.tokens import Tokens
from storage.embedded.process import free_port
from storage.settings import Settings

READY_SECONDS_MAX: Final = 180.0
STOP_SECONDS_MAX: Final = 90.0
HOST_ANSWER_SECONDS_MAX: Final = 10.0
_LOG_LINES_SHOWN: Final = 15
_UP: Final = (sys.executable, "-m", "cluster", "up")


class StackFailedError(RuntimeError):
    """`atrium up` did not become ready; the message ends with the last lines it wrote."""


class Stack:
    """`async with Stack() as stack:` is up and empty; at the end everything of it is gone.

    `database_url` names a Postgres to use instead of an embedded one. `run` holds the URLs while it is up.
    In between it may be ended by `stop` or `kill` and started again, on the same data folder and the same port.
    """

    def __init__(self, *, hosts: int = 2, database_url: str | None = None, command: Sequence[str] = _UP) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="atrium-stack-"))
        self.run: RunInfo
        self._port = free_port()
        self._hosts = hosts
        self._database_url = database_url
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._joined = False

    @property
    def base_url(self) -> str:
        return self.run.base_url

    def socket_url(self, path: str) -> str:
        """Of a WebSocket endpoint, given without the API's prefix."""
        return self.base_url.replace("http://", "ws://", 1) + PREFIX + path

    @property
    def config(self) -> RuntimeConfig:
        return RuntimeConfig(self.run.database_url, self.run.redis_url, keys_dir=str(self.folder / "keys"))

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self._clear()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._clear()

    def token(self, subject: str, *roles: str, organizations: tuple[str, ...] = ()) -> str:
        """An access token that this stack accepts."""
        return self._issuer.issue(subject, roles or ("customer",), organizations)

    @cached_property
    def _issuer(self) -> Tokens:
        """Reading the key takes as long as signing dozens of tokens."""
        return issuer(Settings(data_dir=self.folder))

    async def host_pids(self) -> dict[str, int]:
        """Process ids of the entity hosts by name. Raises `StackFailedError` when one does not answer."""
        await self.join_ray()
        reports = await host_reports(self.config, HOST_ANSWER_SECONDS_MAX)
        silent = [report.name for report in reports if not report.pid]
        if silent or not reports:
            raise StackFailedError(f"hosts that do not answer: {', '.join(silent) or 'all'}")
        return {report.name: report.pid for report in reports}

    def kill_host(self, pid: int) -> None:
        """SIGKILL to the process of a host, which must be one of this stack."""
        process = psutil.Process(pid)
        if process.environ().get("ATRIUM_STACK") != self.run.stack:
            raise StackFailedError(f"process {pid} is not of this stack")
        process.kill()

    async def remove_host(self, name: str) -> None:
        """Planned removal: its shards move, then it ends. Raises `TimeoutError`."""
        await remove_host(self.config, name)

    async def start(self) -> None:
        """Run `atrium up`; returns when it is ready. Raises `StackFailedError` with what it said."""
        environment = {key: value for key, value in os.environ.items() if key not in _OTHERS_SETTINGS}
        if self._database_url is not None:
            environment["DATABASE_URL"] = self._database_url
        environment["ATRIUM_ENTITY_HOSTS"] = str(self._hosts)
        environment.setdefault("ATRIUM_RATE_LIMITS", "false")  # load is the point
        arguments = ("--json", "--data", str(self.folder), "--port", str(self._port))
        with (self.folder / "up.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, *arguments, stdout=asyncio.subprocess.PIPE, stderr=log, env=environment
            )
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                await self._ready()
        except TimeoutError:
            raise StackFailedError(f"not ready in {READY_SECONDS_MAX:.0f} s\n{self._log_tail()}") from None
        run = DataDir(self.folder).read_run()
        if run is None:
            raise StackFailedError("ready, but the data folder has no run file")
        self.run = run

    async def _ready(self) -> None:
        if self._process is None or self._process.stdout is None:
            raise StackFailedError("not started")
        async for line in self._process.stdout:
            if _says_ready(line):
                return
        code = await self._process.wait()
        raise StackFailedError(f"ended with exit code {code}\n{self._log_tail()}")

    async def stop(self) -> int:
        """SIGTERM to `atrium up`, and wait for its end; its exit code. One that does not end is killed."""
        await self.leave_ray()
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS_MAX)
            except TimeoutError:
                process.kill()
        return await process.wait()

    async def kill(self) -> None:
        """SIGKILL to `atrium up`: it tidies nothing up."""
        await self.leave_ray()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def join_ray(self) -> None:
        """Become a member of the stack's Ray, if not already."""
        if not self._joined:
            await asyncio.to_thread(init_ray, self.run.ray_address)
            self._joined = True

    async def leave_ray(self) -> None:
        """Part from the stack's Ray, which takes its members along when it dies."""
        if self._joined:
            await asyncio.to_thread(shutdown_ray)
            self._joined = False

    async def _clear(self) -> None:
        await self.stop()
        run = DataDir(self.folder).read_run()
        if run is not None:
            await asyncio.to_thread(_end_everything, run.stack)
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    def _log_tail(self) -> str:
        lines = (self.folder / "up.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES_SHOWN:])


_OTHERS_SETTINGS: Final = frozenset({"DATABASE_URL", "REDIS_URL", "RAY_ADDRESS", "ATRIUM_STACK"})
"""Of whoever calls: a stack of our own must not join theirs."""


def _end_everything(stack: str) -> None:
    """What an `atrium up` that did not end in order left behind, its databases too."""
    end_stack(stack)
    end_processes(processes_of(stack, stores=True))


def _says_ready(line: bytes) -> bool:
    try:
        message: Any = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return False
    return isinstance(message, dict) and message.get("ready") is True
