"""`atrium up` as a process: what it promises at its start, at its end, and when it is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import pytest

from cluster.datadir import DataDir, end_stack, processes_of
from cluster.stack import Ready
from storage.embedded.process import free_port

ROOT = Path(__file__).parents[2]
UP = (sys.executable, "-m", "cluster", "up", "--json", "--no-dashboard")

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@contextmanager
def running(data: Path, port: int) -> Iterator[tuple["subprocess.Popen[bytes]", Ready, str]]:
    """`atrium up` with its first line of output and its stack's id. Whatever happens, nothing of it stays."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ATRIUM_", "RAY_"))}
    with (data.parent / "stderr").open("wb") as errors:
        up = subprocess.Popen(
            [*UP, "--data", str(data), "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            env=environment,
        )
    stack = ""
    try:
        assert up.stdout is not None
        line = up.stdout.readline()
        assert line, (data.parent / "stderr").read_text()
        run = DataDir(data).read_run()
        assert run is not None
        stack = run.stack
        yield up, msgspec.json.decode(line, type=Ready), stack
    finally:
        if up.poll() is None:
            up.kill()
        up.wait()
        assert up.stdout is not None
        up.stdout.close()
        if stack:
            for process in processes_of(stack, stores=True):
                if process.name() in {"postgres", "redis-server"}:
                    process.terminate()
            end_stack(stack)


def _gone(stack: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while processes_of(stack, stores=True) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not processes_of(stack, stores=True)


def _create_cart(ready: Ready) -> str:
    answer = httpx.post(
        f"{ready.base_url}/api/v1/carts/create",
        json={"currency": "EUR"},
        headers={"authorization": f"Bearer {ready.token}"},
        timeout=30,
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _read_cart(ready: Ready, cart: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {ready.token}"}
    return httpx.get(f"{ready.base_url}/api/v1/carts/{cart}", headers=headers, timeout=30)


def _play(data: Path, limit: int) -> dict[str, Any]:
    """The demo's result, played against what is up on the folder."""
    command = [sys.executable, "-m", "cluster", "demo", "--json", "--data", str(data), "--limit", str(limit)]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout)


def test_it_starts_stops_survives_a_kill_and_goes_on_where_it_was(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()

    with running(data, port) as (up, ready, stack):
        assert ready.ready
        assert httpx.get(f"{ready.base_url}/readyz", timeout=10).json()["degraded"] == []
        assert len(ready.hosts) == 2
        assert all(psutil.pid_exists(host.pid) for host in ready.hosts)
        assert {"postgres", "redis", "raylet", "gateways"} <= ready.pids.keys()
        first = _create_cart(ready)
        second_up = subprocess.run([*UP, "--data", str(data)], capture_output=True, cwd=ROOT, timeout=60, check=False)
        assert second_up.returncode == 10
        assert len(second_up.stderr.splitlines()) == 1
        up.send_signal(signal.SIGTERM)
        assert up.wait(90) == 0
        assert up.stdout is not None
        assert up.stdout.read() == b"", "one line on standard output, and no more"
        assert _gone(stack, 5), processes_of(stack, stores=True)
        assert not (data / "run.json").exists()

    with running(data, port) as (up, ready, stack):
        assert _read_cart(ready, first).status_code == 200
        played = _play(data, 60)
        assert (played["ok"], played["lost"], played["duplicated"]) == (True, 0, 0), played["problems"]
        assert [count["orders"] for count in played["counts"]] == [60, 60, 60, 60]
        assert played["kill"]["pid"] in {host.pid for host in ready.hosts}
        assert not psutil.pid_exists(played["kill"]["pid"])
        killed_with = _create_cart(ready)
        up.kill()
        up.wait()

        with running(data, port) as (again, next_ready, next_stack):
            assert not processes_of(stack), "the next start ends what a killed one left"
            assert _read_cart(next_ready, killed_with).status_code == 200
            again.send_signal(signal.SIGINT)
            assert again.wait(90) == 0
            assert _gone(stack, 5)
            assert _gone(next_stack, 5)
