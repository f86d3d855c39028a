"""The stack's handling of its child process, with small programs in the place of `atrium up`."""

import sys

import psutil
import pytest

from actors.runtime.clock import SystemClock
from cluster.datadir import DataDir
from loadtests.stack import Stack, StackFailedError
from services.signing_keys import load_or_create_signing_key
from services.tokens import Tokens

_UP = """
import os, sys, time, psutil
from pathlib import Path
from cluster.datadir import DataDir, RunInfo
folder = DataDir(Path(sys.argv[sys.argv.index("--data") + 1]))
folder.lock()
folder.write_run(RunInfo(
    stack="test-stack", pid=os.getpid(), started=psutil.Process().create_time(),
    base_url="http://127.0.0.1:" + sys.argv[sys.argv.index("--port") + 1],
    database_url=os.environ.get("DATABASE_URL", "postgresql://embedded"),
))
print("a line that is no JSON")
print('{"ready": true}', flush=True)
time.sleep(60)
"""
_FAILS = "import sys; print('error: the port is in use', file=sys.stderr); sys.exit(3)"


def _stack(program, **options):
    return Stack(command=(sys.executable, "-c", program), **options)


async def test_the_stack_is_up_after_its_ready_line_and_gone_afterwards():
    async with _stack(_UP, database_url="postgresql://ours") as stack:
        assert stack.base_url.startswith("http://127.0.0.1:")
        assert stack.config.database_url == "postgresql://ours"
        pid = stack.run.pid
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)
    assert not stack.folder.exists()


async def test_its_tokens_are_signed_with_the_key_of_its_data_folder():
    subject = "0192f0c1-7d6e-7c3a-9a55-0c7a4f1b2d3e"
    async with _stack(_UP) as stack:
        token = stack.token(subject, "courier")
        key = load_or_create_signing_key(DataDir(stack.folder).keys)

    actor = Tokens(SystemClock(), signing=key).verify(token).actor
    assert (actor.subject, actor.roles) == (subject, ("courier",))


async def test_a_start_that_fails_says_what_the_command_said():
    stack = _stack(_FAILS)
    with pytest.raises(StackFailedError, match="the port is in use"):
        await stack.__aenter__()
    assert not stack.folder.exists()


async def test_only_processes_of_the_stack_are_killed():
    async with _stack(_UP) as stack:
        with pytest.raises(StackFailedError, match="not of this stack"):
            stack.kill_host(psutil.Process().pid)


async def test_settings_of_the_caller_do_not_reach_the_stack(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody-elses")
    async with _stack(_UP) as stack:
        assert stack.config.database_url == "postgresql://embedded"
