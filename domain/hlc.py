"""Hybrid logical clock stamps: 48-bit milliseconds, 16-bit counter, device; as text they sort like the clock.

Clocks order what people see; they never pick a winner. (Kulkarni et al., "Logical Physical Clocks", 2014.)
"""

import re
from collections.abc import Callable
from typing import Final

_MS_MAX: Final = 2**48 - 1
_COUNTER_MAX: Final = 2**16 - 1
_STAMP: Final = re.compile(r"([0-9a-f]{12})-([0-9a-f]{4})(?:-([0-9A-Za-z._:-]{1,64}))?")

AHEAD_MS_MAX: Final = 60_000
"""A stamp further in the future than this is replaced by the server's own time; the raw one is kept beside it."""


def stamp(ms: int, counter: int = 0, device: str = "") -> str:
    """`"018f2c3a4b5c-0001"` or, with a device, `"018f2c3a4b5c-0001-<device>"`."""
    if not (0 <= ms <= _MS_MAX and 0 <= counter <= _COUNTER_MAX):
        raise ValueError("hlc out of range")
    text = f"{ms:012x}-{counter:04x}"
    return f"{text}-{device}" if device else text


def parse(text: str) -> tuple[int, int, str]:
    """(milliseconds, counter, device). Raises `ValueError` when `text` is no stamp."""
    match = _STAMP.fullmatch(text)
    if match is None:
        raise ValueError("not an hlc stamp")
    return int(match[1], 16), int(match[2], 16), match[3] or ""


def restamped(text: str, now_ms: int) -> tuple[str, str]:
    """(accepted, raw): one too far ahead becomes `now_ms`, one that is none becomes ""; `raw` is then what was said."""
    try:
        ms, counter, device = parse(text)
    except ValueError:
        return "", text
    if ms <= now_ms + AHEAD_MS_MAX:
        return text, ""
    return stamp(now_ms, counter, device), text


class HybridClock:
    """The clock of one device: never goes back, and never behind a stamp that it has seen.

    `last` is the last stamp that it gave before a restart: its own, so it counts however far ahead it is.
    """

    def __init__(self, now_ms: Callable[[], int], device: str = "", last: str = "") -> None:
        self._now_ms = now_ms
        self._device = device
        self._ms, self._counter, _ = parse(last) if last else (0, 0, "")

    def now(self) -> str:
        """The next stamp, later than every one given or seen."""
        self._advance(self._now_ms(), 0)
        return stamp(self._ms, self._counter, self._device)

    def observe(self, text: str) -> None:
        """Another's stamp was seen. One far ahead of our own clock is ignored, so that nobody drags us along."""
        ms, counter, _ = parse(text)
        now_ms = self._now_ms()
        if ms <= now_ms + AHEAD_MS_MAX and (ms, counter) > (self._ms, self._counter):
            self._ms, self._counter = ms, counter

    def _advance(self, ms: int, counter: int) -> None:
        if (ms, counter) > (self._ms, self._counter):
            self._ms, self._counter = ms, counter
        elif self._counter < _COUNTER_MAX:
            self._counter += 1
        else:
            self._ms, self._counter = self._ms + 1, 0
