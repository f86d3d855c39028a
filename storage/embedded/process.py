"""A server run as a child process in a data folder: spawn, wait until it is ready, stop, adopt, take over."""

import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

POLL_S = 0.01
"""How often readiness and exit are looked at."""


class EmbeddedServerError(RuntimeError):
    """The server did not start or stop; the message ends with the last lines of its log."""


def package_folder(name: str) -> Path:
    """Where an installed package lies, without importing it (these warn and write files when imported)."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError(f"the package {name} is not installed")
    return Path(spec.submodule_search_locations[0])


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def secret_file(path: Path) -> str:
    """The secret kept in `path`, made on first use, readable by the owner only."""
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(secrets.token_urlsafe(24))
    return path.read_text().strip()


def log_tail(log: Path, lines: int = 8) -> str:
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def spawn(
    command: Sequence[str],
    log: Path,
    *,
    user: int | None = None,
    group: int | None = None,
    env: Mapping[str, str] | None = None,
) -> psutil.Process:
    """Start `command` in a session of its own (a terminal's Ctrl-C must not reach it), output to `log`."""
    with log.open("ab") as out:
        child = subprocess.Popen(  # noqa: S603 - our own binaries, our own arguments
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            env=None if env is None else dict(env),
            cwd="/",
        )
    process = psutil.Process(child.pid)
    child.returncode = 0  # psutil waits for it from here on; without this Popen complains when collected
    return process


def wait_until(ready: Callable[[], bool], alive: Callable[[], bool], timeout_s: float, log: Path) -> None:
    """Return when `ready`; raise `EmbeddedServerError` when the process is gone or time is up."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if not alive():
            raise EmbeddedServerError(f"exited while starting:\n{log_tail(log)}")
        if time.monotonic() > deadline:
            raise EmbeddedServerError(f"not ready after {timeout_s:g} s:\n{log_tail(log)}")
        time.sleep(POLL_S)


def is_alive(process: psutil.Process | None) -> bool:
    """Whether `process` runs. A zombie does not; if it is our child it is waited for."""
    if process is None:
        return False
    try:
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            return True
        process.wait(0)
    except psutil.Error:
        pass
    return False


def find_process(pid: int, name: str, mentions: str) -> psutil.Process | None:
    """The live process `pid`, if it is `name` and its command line has `mentions`: a pid may be reused."""
    try:
        process = psutil.Process(pid)
        command = process.cmdline()
    except psutil.Error:
        return None
    named = any(name in Path(part).name for part in command[:1])
    return process if named and mentions in " ".join(command) and is_alive(process) else None


def stop_process(process: psutil.Process, signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn with its seconds to obey, then SIGKILL; return when the process is gone."""
    for number, patience_s in [*signals, (signal.SIGKILL, 10.0)]:
        if not is_alive(process):
            break
        try:
            process.send_signal(number)
            process.wait(patience_s)
        except psutil.NoSuchProcess:
            break
        except psutil.TimeoutExpired:
            continue
    if is_alive(process):
        raise EmbeddedServerError(f"process {process.pid} does not end")
