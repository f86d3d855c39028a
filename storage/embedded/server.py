"""What the embedded servers have in common: one child process, found again and stopped."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import structlog

from storage.embedded.process import EmbeddedServerError, is_alive, stop_process, wait_until

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence

    import psutil

log = structlog.get_logger()


class EmbeddedServer(ABC):
    """One server on `folder`. `port` is known once it runs."""

    name: ClassVar[str]
    start_timeout_s: ClassVar[float]
    stop_signals: "ClassVar[Sequence[tuple[signal.Signals, float]]]"
    """Sent one after the other, each with the seconds to wait for what comes of it."""

    def __init__(self, folder: Path, port: int | None) -> None:
        self.folder = folder.absolute()
        self.log = self.folder / f"{self.name}.log"
        self.port = port
        self._process: psutil.Process | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and is_alive(self._process) else None

    def alive(self) -> bool:
        return is_alive(self._process)

    def stop(self) -> None:
        """Shut down, durably; returns when the process is gone. Nothing to do if it is not running."""
        if self._process is not None:
            stop_process(self._process, self.stop_signals)
            self._process = None

    def find_running(self) -> bool:
        """Point `url` and `pid` at a server that another process started on this folder, if there is one."""
        return self._adopt(any_port=True)

    @abstractmethod
    def _adopt(self, *, any_port: bool = False) -> bool:
        """Take over a running server of this folder, if there is one."""

    @abstractmethod
    def _ready(self) -> bool:
        """Whether it answers."""

    def _outlives(self) -> bool:
        """Whether an adopted server is really up: one that is just going down is replaced."""
        try:
            wait_until(self._ready, self.alive, self.start_timeout_s, self.log)
        except EmbeddedServerError:
            if self.alive():
                raise
            return False
        log.info("server_adopted", server=self.name, pid=self.pid, port=self.port)
        return True
