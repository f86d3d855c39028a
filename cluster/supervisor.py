"""Keeps the embedded databases running: one that dies is started again, on the same folder and the same port.

Nobody who uses them needs to know: connections are lost, and found again under the same address.
"""

import threading
from collections.abc import Mapping
from typing import Final, Protocol

import structlog

log = structlog.get_logger("cluster.supervisor")

LOOK_SECONDS: Final = 0.25
"""How often a server is looked at: what it costs to find out is a system call."""
BACKOFF_SECONDS_MAX: Final = 10.0
"""Between two starts of a server that does not come up, doubling from `LOOK_SECONDS`."""


class Server(Protocol):
    """An embedded server that has been started before."""

    def alive(self) -> bool: ...

    def start(self) -> None:
        """Start again, with the same data under the same address. Whatever it raises means: try again later."""


class Supervisor:
    """Watches `servers` (by the name they have in the log) from a thread of its own, between `start` and `stop`."""

    def __init__(self, servers: Mapping[str, Server], *, look_seconds: float = LOOK_SECONDS) -> None:
        self._servers = dict(servers)
        self._look_seconds = look_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self.restarts = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when no start is under way any more: from then on the servers may be stopped for good."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        pauses = dict.fromkeys(self._servers, self._look_seconds)
        waits = dict.fromkeys(self._servers, 0.0)
        while not self._stopping.wait(self._look_seconds):
            for name, server in self._servers.items():
                waits[name] -= self._look_seconds
                if server.alive() or waits[name] > 0:
                    continue
                if self._restarted(name, server):
                    pauses[name] = self._look_seconds
                else:
                    pauses[name] = min(pauses[name] * 2, BACKOFF_SECONDS_MAX)
                waits[name] = pauses[name]

    def _restarted(self, name: str, server: Server) -> bool:
        log.warning("server_died", server=name)
        try:
            server.start()
        except Exception:
            log.exception("server_not_restarted", server=name)
            return False
        self.restarts += 1
        log.warning("server_restarted", server=name)
        return True
