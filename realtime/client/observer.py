"""What a live client tells as it happens."""

from realtime.client.errors import LiveClosedError, LiveRefusedError
from realtime.client.outcome import Result
from realtime.client.replica import Update


class Observer:
    """Override what you need. Called on the event loop between frames: be quick, and do not raise."""

    def connected(self) -> None:
        """The server has said welcome."""

    def updated(self, channel: str, update: Update) -> None:
        """An entity of a channel has changed, or left it."""

    def resulted(self, result: Result) -> None:
        """A command has its result, and the result is stored."""

    def refused(self, seq: int, error: LiveRefusedError) -> None:
        """The server does not take this command from here; it stays in the queue, and so does all behind it."""

    def renumbered(self, numbers: dict[int, int]) -> None:
        """The queue goes on under a new epoch: old `seq` to new."""

    def withdrawn(self, channel: str, code: str) -> None:
        """The server does not show this channel, or not any more."""

    def invalidated(self) -> None:
        """What was known of all entities does not hold, or may not be shown any more."""

    def disconnected(self, code: int) -> None:
        """A connection, or the attempt at one, has ended; 1006 without a word from the server."""

    def ended(self, error: LiveClosedError) -> None:
        """The client does not come back by itself."""
