"""Commands that fail say why in one line on standard error, each reason with its own exit code."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from actors.runtime.clock import SystemClock
from cluster.cli import COMMANDS, build, run
from cluster.commands.settings import markdown_page
from cluster.commands.token import issuer
from cluster.datadir import STACK_VARIABLE, DataDir, RunInfo, end_stack
from cluster.errors import CommandError, DatabaseError, DataTooNewError, NotRunningError, RedisError
from cluster.stores import check_database, check_redis, database_for_command, without_password
from domain.ids import new_id
from storage.embedded.process import free_port
from storage.migrate import head_revision
from storage.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _fails(capsys: pytest.CaptureFixture[str], code: int, *argv: str) -> str:
    """The one line on standard error of a command that fails with `code`."""
    assert run(argv) == code
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert captured.out == ""
    return lines[0]


def _command(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cluster", *argv]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT, env=os.environ | environment
    )


def test_every_command_of_the_list_is_there_and_has_a_help() -> None:
    assert sorted(COMMANDS) == sorted(
        {*("up", "demo", "status", "hosts", "token", "user", "seed", "journal"), "doctor"}
        | {"dead-letters", "audit", "keys", "backup", "restore", "migrate", "openapi", "settings"}
        | {"retention", "export"}
    )
    build(list(COMMANDS))


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    run([])
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)


def test_an_unknown_command_is_wrong_usage() -> None:
    assert run(["upp"]) == 2


def test_a_port_in_use_stops_the_start_and_frees_the_folder(
    capsys: pytest.CaptureFixture[str], data: Path, taken_port: int
) -> None:
    said = _fails(capsys, 11, "up", "--json", "--data", str(data), "--port", str(taken_port))
    assert str(taken_port) in said
    DataDir(data).lock()


def test_a_folder_that_another_one_runs_on_is_refused_with_its_pid(
    capsys: pytest.CaptureFixture[str], data: Path
) -> None:
    owner = DataDir(data)
    owner.lock()
    owner.write_run(_run_info(os.getpid(), base_url="http://127.0.0.1:8123"))
    said = _fails(capsys, 10, "up", "--json", "--data", str(data))
    assert str(os.getpid()) in said
    assert "http://127.0.0.1:8123" in said
    owner.unlock()


def test_a_data_folder_that_is_a_file_is_refused(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    data.write_text("")
    assert str(data) in _fails(capsys, 2, "up", "--json", "--data", str(data))


def test_a_database_url_of_something_else_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://root:hunter2@localhost/x")
    said = _fails(capsys, 2, "up", "--json")
    assert "postgresql://" in said
    assert "hunter2" not in said


def test_bad_settings_are_one_line_also_before_the_command_has_begun() -> None:
    for command in (("up", "--json"), ("migrate",), ("token",)):
        done = _command(*command, DATABASE_URL="postgres+asyncpg://root:hunter2@localhost/x")
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
        assert "hunter2" not in done.stderr


def test_a_url_that_is_none_is_refused_without_a_part_of_its_password() -> None:
    with pytest.raises(DatabaseError, match="not a URL") as database:
        check_database("postgresql://atrium:hunter/2@localhost/x")
    with pytest.raises(RedisError, match="not a URL") as redis:
        check_redis("redis://:hunter/2@localhost/0")
    assert "hunter" not in f"{database.value} {redis.value}"


def test_a_database_that_does_not_answer_stops_the_start_without_its_password(data: Path) -> None:
    url = f"postgresql://atrium:hunter2@127.0.0.1:{free_port()}/atrium"
    done = _command("up", "--json", "--data", str(data), "--port", str(free_port()), DATABASE_URL=url)
    assert (done.returncode, done.stdout) == (12, "")
    assert len(done.stderr.splitlines()) == 1
    assert "hunter2" not in done.stderr
    assert "postgresql://atrium@127.0.0.1" in done.stderr


def test_a_redis_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(RedisError, match=r"redis://127\.0\.0\.1") as caught:
        check_redis(f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    assert "hunter2" not in str(caught.value)


@pytest.mark.stack
async def test_a_database_of_a_newer_release_is_left_alone(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999_from_the_future'")
    await connection.close()
    with pytest.raises(DataTooNewError, match="9999_from_the_future"):
        await asyncio.to_thread(check_database, database_url)


@pytest.mark.stack
async def test_migrate_says_what_it_did_and_check_whether_it_is_needed(database_url: str) -> None:
    checked = await asyncio.to_thread(_command, "migrate", "--check", DATABASE_URL=database_url)
    done = await asyncio.to_thread(_command, "migrate", DATABASE_URL=database_url)
    assert (checked.returncode, done.returncode) == (0, 0)
    assert f"at revision {head_revision()}: already current" in done.stdout
    connection = await asyncpg.connect(database_url)
    await connection.execute("DELETE FROM alembic_version")
    await connection.close()
    assert (await asyncio.to_thread(_command, "migrate", "--check", DATABASE_URL=database_url)).returncode == 1


@pytest.mark.stack
async def test_a_wrong_password_is_a_database_error(database_url: str) -> None:
    scheme, _, rest = database_url.partition("://")
    wrong = f"{scheme}://atrium:wrong@{rest.partition('@')[2]}"
    with pytest.raises(DatabaseError, match="password"):
        await asyncio.to_thread(check_database, wrong)


@pytest.mark.stack
async def test_the_journal_of_an_unknown_entity_and_an_unknown_dead_letter_do_not_exist(database_url: str) -> None:
    for argv in (["journal", "show", f"order/{new_id()}"], ["dead-letters", "show", new_id()]):
        done = await asyncio.to_thread(_command, *argv, DATABASE_URL=database_url)
        assert (done.returncode, len(done.stderr.splitlines())) == (17, 1)


@pytest.mark.parametrize("entity", ["order", "spoon/7", "order/"])
def test_the_journal_wants_a_kind_and_an_id(capsys: pytest.CaptureFixture[str], data: Path, entity: str) -> None:
    assert "KIND/ID" in _fails(capsys, 2, "journal", "show", entity, "--data", str(data))


@pytest.mark.parametrize("argv", [["status"], ["seed"], ["hosts", "add"], ["dead-letters", "list"], ["migrate"]])
def test_commands_that_need_an_installation_say_that_there_is_none(
    capsys: pytest.CaptureFixture[str], data: Path, argv: list[str]
) -> None:
    assert "atrium up" in _fails(capsys, 16, *argv, "--data", str(data))


def test_a_token_is_what_the_gateways_of_the_folder_accept(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    user, shop = new_id(), new_id()
    argv = ["token", "--sub", user, "--role", "merchant_staff", "--role", "customer", "--org", shop, "--ttl", "60"]
    assert run([*argv, "--data", str(data)]) == 0
    verified = issuer(Settings(data_dir=data)).verify(capsys.readouterr().out.strip())
    assert verified.actor.subject == user
    assert verified.actor.roles == ("merchant_staff", "customer")
    assert verified.actor.organizations == (shop,)
    assert abs(verified.expires - SystemClock().now_ms() / 1_000 - 60) < 5


def test_a_token_with_an_unknown_role_is_refused(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    assert "role" in _fails(capsys, 2, "token", "--role", "system", "--data", str(data))


def test_the_openapi_document_comes_without_anything_running(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["openapi"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/orders/create" in document["paths"]


def test_doctor_finds_a_taken_port_bad(
    capsys: pytest.CaptureFixture[str], data: Path, taken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATRIUM_PORT", str(taken_port))
    assert run(["doctor", "--json", "--data", str(data)]) == 1
    findings = {finding["name"]: finding["status"] for finding in json.loads(capsys.readouterr().out)}
    assert (findings["port"], findings["python"], findings["database"]) == ("bad", "ok", "ok")


def test_the_page_of_settings_is_current() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert page == markdown_page(), "run: atrium settings --markdown > docs/settings.md"


def test_a_url_is_shown_without_its_password() -> None:
    assert without_password("postgresql://atrium:pw@db:5432/x") == "postgresql://atrium@db:5432/x"
    assert without_password("redis://:pw@[::1]:6379/0") == "redis://[::1]:6379/0"


def test_an_embedded_database_is_not_made_by_looking_at_it(data: Path) -> None:
    with pytest.raises(NotRunningError), database_for_command(Settings(data_dir=data)):
        pass
    assert not data.exists()


# -- what an earlier run left behind ----------------------------------------------------------------


def _run_info(pid: int, *, stack: str = "s", base_url: str = "", started: float | None = None) -> RunInfo:
    began = psutil.Process(pid).create_time() if started is None else started
    return RunInfo(stack=stack, pid=pid, started=began, base_url=base_url)


def _sleeper(stack: str) -> subprocess.Popen[bytes]:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    child = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {STACK_VARIABLE: stack}, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    return child


def test_all_that_carries_a_stacks_id_is_ended_and_nothing_else() -> None:
    stack, other = new_id(), new_id()
    mine, stubborn, theirs = _sleeper(stack), _sleeper(stack), _sleeper(other)
    try:
        assert end_stack(stack) == 2
        assert not psutil.pid_exists(mine.pid)
        assert not psutil.pid_exists(stubborn.pid)
        assert theirs.poll() is None
    finally:
        for child in (mine, stubborn, theirs):
            child.kill()
            child.wait()


def test_a_run_file_whose_pid_is_somebody_elses_by_now_is_of_no_running_stack(data: Path) -> None:
    folder = DataDir(data)
    folder.lock()
    folder.write_run(_run_info(os.getpid(), base_url="http://127.0.0.1:1", started=1.0))
    assert folder.running() is None
    folder.write_run(_run_info(os.getpid(), base_url="http://127.0.0.1:1"))
    assert folder.running() is not None
    assert (data / "run.json").stat().st_mode & 0o077 == 0
    folder.unlock()


def test_a_lock_ends_with_its_process(data: Path) -> None:
    code = f"from pathlib import Path; from cluster.datadir import DataDir; d = DataDir(Path({str(data)!r})); d.lock()"
    holder = subprocess.Popen(
        [sys.executable, "-c", f"{code}; print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(CommandError):
        DataDir(data).lock()
    holder.kill()
    holder.communicate()
    DataDir(data).lock()
