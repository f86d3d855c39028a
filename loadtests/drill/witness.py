"""A client that only watches, and does not trust what it is told: it checks the frames before it applies them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from realtime.client.backoff import FullJitter
from realtime.client.encoding import Encoding, Message
from realtime.client.live import LiveClient

BACKOFF_SECONDS = (0.1, 1.0)
"""First and longest ceiling of the pause before a reconnect: a drill is no crowd to be spread out."""


class Seen(msgspec.Struct):
    """What was wrong with the frames of all channels together. `delivered` counts versions that came.

    backwards  a version that had been seen before, or an older one
    skipped    a patch that does not follow on the version before
    """

    delivered: int = 0
    backwards: int = 0
    skipped: int = 0


class Witness(LiveClient):
    """Holds the protocol's promise against each frame: every version once, in order, also over reconnects."""

    def __init__(self, url: str, token: str, *, encoding: Encoding = "json") -> None:
        super().__init__(url, token, encoding=encoding, backoff=FullJitter(*BACKOFF_SECONDS))
        self.seen = Seen()
        self._versions: dict[tuple[str, str], int] = {}

    async def received(self, frame: Message) -> None:
        if frame["t"] == "change":
            self._note(frame["ch"], frame["ent"], frame["ver"], patch="patch" in frame)
        elif frame["t"] == "snapshot":
            for entry in frame["entities"]:
                self._note(frame["ch"], entry["ent"], entry["ver"], patch=False)
        await super().received(frame)

    def _note(self, channel: str, ent: str, version: int, *, patch: bool) -> None:
        before = self._versions.get((channel, ent), 0)
        self.seen.delivered += 1
        self.seen.backwards += version <= before
        self.seen.skipped += patch and version > before + 1
        self._versions[channel, ent] = max(before, version)

    def shows(self, views: Mapping[str, Any]) -> list[str]:
        """Which of the channels it follows do not show what `views` (entity → view) says, right now."""
        return [
            channel
            for channel, subscription in self._subscriptions.items()
            if not subscription.current or subscription.state() != views[channel]
        ]
