"""A command in its own session hears a signal to the group once, and nothing of it outlives its parent."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import psutil
import pytest

PROGRAM = textwrap.dedent(
    """
    import os, signal, sys
    from cluster import session
    session.enter()
    heard = []
    signal.signal(signal.SIGTERM, lambda *_: heard.append("TERM"))
    signal.signal(signal.SIGINT, lambda *_: heard.append("INT"))
    print(os.getpid(), flush=True)
    while not heard:
        signal.pause()
    print(*heard, flush=True)
    sys.exit(7)
    """
)


@pytest.fixture
def started() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process that was started, and the pid of the one in which the command runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    yield process, child
    if process.poll() is None:
        process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGTERM, "TERM"), (signal.SIGINT, "INT"), (signal.SIGHUP, "TERM")]
)
def test_a_signal_to_the_group_reaches_the_command_once_and_its_exit_code_comes_back(started, number, name):
    process, _ = started
    os.killpg(process.pid, number)
    assert process.stdout.readline().split() == [name]
    assert process.wait(timeout=10) == 7


def test_when_the_started_process_is_killed_the_command_dies_with_it(started):
    process, child = started
    process.kill()
    process.wait()
    psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], timeout=10)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_command_that_is_killed_gives_the_signal_as_exit_code(started):
    process, child = started
    os.kill(child, signal.SIGKILL)
    assert process.wait(timeout=10) == 128 + signal.SIGKILL
