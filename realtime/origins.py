"""Whose command a change comes from, so that the change can say so to the device that waits for it."""

from realtime.frames import Origin


class Origins:
    """Of the newest commands of this gateway: at least `kept_max` / 2, at most `kept_max`."""

    def __init__(self, kept_max: int) -> None:
        self._kept_max = kept_max
        self._newer: dict[bytes, tuple[str, int, int]] = {}
        self._older: dict[bytes, tuple[str, int, int]] = {}

    def note(self, command_id: bytes, device_id: str, epoch: int, seq: int) -> None:
        self._newer[command_id] = (device_id, epoch, seq)
        if len(self._newer) * 2 > self._kept_max:
            self._older, self._newer = self._newer, {}

    def of(self, command_id: bytes) -> Origin | None:
        found = self._newer.get(command_id) or self._older.get(command_id)
        return None if found is None else Origin(*found)
