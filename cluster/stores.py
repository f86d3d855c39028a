"""Postgres and Redis for a command: the named ones, the running embedded ones, or embedded ones of our own."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from redis import Redis
from redis.exceptions import RedisError as RedisPyError

from cluster.datadir import DataDir
from cluster.errors import BadSettingsError, DatabaseError, DataTooNewError, NotRunningError, PortInUseError, RedisError
from storage.crypto import KeyRing
from storage.data_keys import open_key_ring
from storage.embedded.postgres import EmbeddedPostgres
from storage.embedded.process import EmbeddedServerError
from storage.embedded.redis import EmbeddedRedis
from storage.embedded.retention import WAL_FOLDER
from storage.journal.interface import JournalError
from storage.key_management import key_service
from storage.key_wrapping import EncryptionKeyError, KeyServiceAwayError
from storage.migrate import SchemaTooNew, check, upgrade
from storage.settings import Settings

CONNECT_SECONDS = 10.0
OLDEST_POSTGRES = 150_000


def without_password(url: str) -> str:
    """The URL as it may be shown: `postgresql://atrium@127.0.0.1:5432/atrium`. Of one that is none: its scheme."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return f"{url.partition('://')[0]}://…"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    user = f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme}://{user}{host}{port}{parts.path}"


def _malformed(url: str) -> str:
    """Why this is no URL, "" if it is one. A driver's own words for it may quote a part of the password."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        return "it is not a URL; characters like / and # in a password must be written as %2F and %23"
    return ""


def require_free_port(host: str, port: int) -> None:
    """Raise `PortInUseError` if nobody could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            raise PortInUseError(f"port {port} on {host} cannot be used: {error.strerror}; try --port") from error


def is_free_port(port: int) -> bool:
    """Whether all interfaces have this port free."""
    try:
        require_free_port("0.0.0.0", port)  # noqa: S104 - asked, not served
    except PortInUseError:
        return False
    return True


def check_database(url: str) -> None:
    """Connect once. Raises `DatabaseError`, `DataTooNewError`."""
    if malformed := _malformed(url):
        raise DatabaseError(f"the database {without_password(url)} cannot be used: {malformed}")
    try:
        asyncio.run(_check_database(url))
    except SchemaTooNew as error:
        raise DataTooNewError(f"{error}; use a newer atrium or another data folder") from error
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DatabaseError(f"the database {without_password(url)} cannot be used: {reason}") from error


async def _check_database(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    try:
        version = await connection.fetchval("SELECT current_setting('server_version_num')::int")
        if version < OLDEST_POSTGRES:
            raise ValueError(f"it is Postgres {version // 10_000}, and 15 is the oldest that will do")
    finally:
        await connection.close()
    await check(url)


def migrate(url: str) -> str:
    """Bring the schema to this release; returns its revision. Raises like `check_database`."""
    try:
        return asyncio.run(upgrade(url))
    except SchemaTooNew as error:
        raise DataTooNewError(f"{error}; use a newer atrium or another data folder") from error
    except (OSError, asyncpg.PostgresError) as error:
        raise DatabaseError(f"the database {without_password(url)} cannot be migrated: {error}") from error


async def open_keys(settings: Settings, url: str) -> KeyRing:
    """The installation's data keys; makes the first one. Raises `BadSettingsError`, `DatabaseError`."""
    try:
        return await open_key_ring(url, DataDir(settings.data_dir).keys, settings.encryption_key, key_service(settings))
    except EncryptionKeyError as error:
        raise BadSettingsError(str(error)) from error
    except KeyServiceAwayError as error:
        raise DatabaseError(f"the data keys cannot be unwrapped: the key management service {error}") from error
    except (OSError, JournalError) as error:
        raise DatabaseError(f"the data keys in {without_password(url)} cannot be read: {error}") from error


def check_redis(url: str) -> None:
    """Ping once. Raises `RedisError`."""
    if malformed := _malformed(url):
        raise RedisError(f"Redis {without_password(url)} cannot be used: {malformed}")
    try:
        with Redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS) as client:
            client.ping()
    except (RedisPyError, OSError, ValueError) as error:
        raise RedisError(f"Redis {without_password(url)} cannot be used: {error}") from error


def backups_folder(settings: Settings) -> Path:
    """Where backups are, and beside them the archived log."""
    return (settings.backup_dir or DataDir(settings.data_dir).folder / "backups").absolute()


def embedded_postgres(settings: Settings) -> EmbeddedPostgres:
    """The installation's own server, which archives its log once there is a backup."""
    return EmbeddedPostgres(DataDir(settings.data_dir).postgres, archive=backups_folder(settings) / WAL_FOLDER)


class Stores:
    """The two stores of a stack. Those named in the settings are only checked, the others are ours to run."""

    def __init__(self, settings: Settings, data: DataDir) -> None:
        named_database = settings.database_url
        named_redis = settings.redis_url
        self.postgres = embedded_postgres(settings) if named_database is None else None
        self.redis = EmbeddedRedis(data.redis) if named_redis is None else None
        self._database_url = named_database.get_secret_value() if named_database is not None else ""
        self._redis_url = named_redis.get_secret_value() if named_redis is not None else ""

    @property
    def database_url(self) -> str:
        return self.postgres.url if self.postgres is not None else self._database_url

    @property
    def redis_url(self) -> str:
        return self.redis.url if self.redis is not None else self._redis_url

    def start_database(self) -> None:
        """Raises `DatabaseError`, `DataTooNewError`."""
        if self.postgres is not None:
            try:
                self.postgres.start()
            except (EmbeddedServerError, OSError) as error:
                raise DatabaseError(f"the embedded Postgres did not start: {error}") from error
        check_database(self.database_url)

    def start_redis(self) -> None:
        """Raises `RedisError`."""
        if self.redis is not None:
            try:
                self.redis.start()
            except (EmbeddedServerError, OSError) as error:
                raise RedisError(f"the embedded Redis did not start: {error}") from error
        check_redis(self.redis_url)

    def embedded(self) -> dict[str, EmbeddedPostgres | EmbeddedRedis]:
        """Those that are ours to run, by name."""
        servers = {"postgres": self.postgres, "redis": self.redis}
        return {name: server for name, server in servers.items() if server is not None}

    def stop(self) -> None:
        if self.redis is not None:
            self.redis.stop()
        if self.postgres is not None:
            self.postgres.stop()


@contextmanager
def database_for_command(settings: Settings) -> Iterator[str]:
    """The URL of the installation's database for one command.

    An embedded one that is not running is started for the time of the command, if its folder exists.
    Raises `DatabaseError`, `NotRunningError`, `AlreadyRunningError`.
    """
    data = DataDir(settings.data_dir)
    with ExitStack() as cleanup:
        if settings.database_url is not None:
            url = settings.database_url.get_secret_value()
            check_database(url)
            yield url
            return
        postgres = embedded_postgres(settings)
        if not data.postgres.exists():
            raise NotRunningError(f"there is no installation in {data.folder}; start one with `atrium up`")
        if not postgres.find_running():
            data.lock()
            cleanup.callback(data.unlock)
            try:
                postgres.start()
            except (EmbeddedServerError, OSError) as error:
                raise DatabaseError(f"the embedded Postgres did not start: {error}") from error
            cleanup.callback(postgres.stop)
        check_database(postgres.url)
        yield postgres.url
