"""`atrium doctor`: what this machine has of what Atrium needs."""

import asyncio
import importlib.metadata
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator

import asyncpg
import msgspec
import psutil
import typer
from redis import Redis
from redis.exceptions import RedisError

from cluster.console import DataOption, JsonOption, out, print_json, settings_with, table
from cluster.datadir import DataDir
from cluster.errors import CommandError
from cluster.ingress import haproxy_binary, why_no_haproxy
from cluster.stores import check_database, require_free_port, without_password
from storage.embedded.postgres import EmbeddedPostgres
from storage.embedded.process import EmbeddedServerError
from storage.embedded.redis import EmbeddedRedis
from storage.settings import Settings

OPEN_FILES_MIN = 8_192
MEMORY_MIN = 3_000_000_000
DISK_MIN = 2_000_000_000
CLOCK_DIFFERENCE_MS_MAX = 2_000.0
_PACKAGES = ("ray", "fastapi", "sqlalchemy", "asyncpg", "redis", "uvloop", "websockets")


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at. `status` is `ok`, `warning` (works, with a limit) or `bad`."""

    name: str
    status: str
    detail: str


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(as_json: JsonOption = False, data: DataOption = None) -> None:
    """Look at versions, binaries, ports, limits, memory, database, Redis and clock. Exit code 1 if something is bad."""
    findings = list(examine(settings_with(data)))
    if as_json:
        print_json(findings)
    else:
        rows = table("verdict", "what", "found")
        marks = {"ok": "[green]ok[/green]", "warning": "[yellow]warning[/yellow]", "bad": "[red]bad[/red]"}
        for finding in findings:
            rows.add_row(marks[finding.status], finding.name, finding.detail)
        out.print(rows, soft_wrap=True)
    raise typer.Exit(int(any(finding.status == "bad" for finding in findings)))


def examine(settings: Settings) -> Iterator[Finding]:
    """All findings, the cheap ones first."""
    yield _finding("python", sys.version_info >= (3, 11), platform.python_version())
    for name in _PACKAGES:
        try:
            yield Finding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "bad", "not installed")
    missing = why_no_haproxy()
    yield Finding("haproxy", "warning" if missing else "ok", missing or str(haproxy_binary()))
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield _finding("open files", files >= OPEN_FILES_MIN, f"{files} (hard limit)", otherwise="warning")
    memory = psutil.virtual_memory()
    text = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB available"
    yield _finding("memory", memory.available >= MEMORY_MIN, text, otherwise="warning")
    yield Finding("processors", "ok", str(psutil.cpu_count()))
    data = DataDir(settings.data_dir)
    existing = next(folder for folder in (data.folder, *data.folder.parents) if folder.exists())
    free = psutil.disk_usage(str(existing)).free
    yield _finding("disk", free >= DISK_MIN, f"{free / 1e9:.1f} GB free at {existing}", otherwise="warning")
    run = data.running()
    if run is None:
        yield _tried("port", lambda: _port(settings))
    else:
        yield Finding("running", "ok", f"pid {run.pid}, {run.base_url}")
    yield _tried("database", lambda: _database(settings, data))
    yield _tried("redis", lambda: _redis(settings, data))


def _finding(name: str, good: bool, detail: str, otherwise: str = "bad") -> Finding:
    return Finding(name, "ok" if good else otherwise, detail)


def _tried(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "ok", look())
    except (CommandError, EmbeddedServerError, OSError, RedisError, asyncpg.PostgresError) as error:
        return Finding(name, "bad", " ".join(str(error).split()))


def _port(settings: Settings) -> str:
    require_free_port(settings.host, settings.port)
    return f"{settings.host}:{settings.port} is free"


def _database(settings: Settings, data: DataDir) -> str:
    if settings.database_url is None:
        postgres = EmbeddedPostgres(data.postgres)
        if not postgres.find_running():
            return "embedded, not running"
        url = postgres.url
    else:
        url = settings.database_url.get_secret_value()
    check_database(url)
    version, difference_ms = asyncio.run(_ask_database(url))
    if abs(difference_ms) > CLOCK_DIFFERENCE_MS_MAX:
        raise CommandError(f"its clock differs from this machine's by {difference_ms:.0f} ms")
    return f"Postgres {version} at {without_password(url)}, clock differs by {difference_ms:.0f} ms"


async def _ask_database(url: str) -> tuple[str, float]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        version = await connection.fetchval("SELECT current_setting('server_version')")
        before = time.time()
        now = float(await connection.fetchval("SELECT extract(epoch from clock_timestamp())"))
        return str(version), (now - (before + time.time()) / 2) * 1_000
    finally:
        await connection.close()


def _redis(settings: Settings, data: DataDir) -> str:
    if settings.redis_url is None:
        redis = EmbeddedRedis(data.redis)
        if not redis.find_running():
            return "embedded, not running"
        url = redis.url
    else:
        url = settings.redis_url.get_secret_value()
    with Redis.from_url(url, socket_connect_timeout=10, socket_timeout=10) as client:
        version = client.info("server")["redis_version"]
    return f"Redis {version} at {without_password(url)}"
