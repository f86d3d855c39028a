"""The processes of a running stack by what they are, and what can be done to them."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import psutil

from cluster.datadir import DataDir, processes_of
from loadtests.stack import Stack
from storage.embedded.postgres import EmbeddedPostgres
from storage.embedded.redis import EmbeddedRedis

HOST: Final = "ray::HostActor"
GATEWAY: Final = "ray::ServeReplica"


class NoSuchProcessError(RuntimeError):
    """What the drill wants to hurt is not there."""


def workers(stack: Stack, title: str) -> list[psutil.Process]:
    """Ray's workers of this stack whose title begins so, the oldest first. Raises `NoSuchProcessError`."""
    found = [process for process in processes_of(stack.run.stack) if _title(process).startswith(title)]
    if not found:
        raise NoSuchProcessError(f"no process {title} runs")
    return sorted(found, key=psutil.Process.create_time)


def postgres(stack: Stack) -> list[psutil.Process]:
    """The server and its backends, the server first. Raises `NoSuchProcessError`."""
    server = EmbeddedPostgres(DataDir(stack.folder).postgres)
    return _with_children(server.pid if server.find_running() else None)


def redis(stack: Stack) -> list[psutil.Process]:
    """Raises `NoSuchProcessError`."""
    server = EmbeddedRedis(DataDir(stack.folder).redis)
    return _with_children(server.pid if server.find_running() else None)


def kill(process: psutil.Process) -> None:
    process.send_signal(signal.SIGKILL)


@contextmanager
def suspended(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """Within, they get no processor; afterwards those that are still there go on."""
    try:
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            if process.is_running():
                os.kill(process.pid, signal.SIGCONT)


def _with_children(pid: int | None) -> list[psutil.Process]:
    if pid is None:
        raise NoSuchProcessError("it does not run, or is not of this stack")
    server = psutil.Process(pid)
    return [server, *server.children(recursive=True)]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
