"""Which connection of a device is the newest that an entity has heard, so that an outdated one is heard no more."""

from typing import Final

KEPT: Final = 20_000
"""Pairs of an entity and a device that one host remembers, the latest. What an outdated connection still sends comes
within seconds."""

Key = tuple[str, str, str, str]
"""Kind, id, subject, device."""


class Generations:
    """In memory only: it outlasts a reload of the entity, not a move to another host."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._newest: dict[Key, int] = {}

    def hears(self, key: Key, generation: int) -> bool:
        """Whether this is the newest connection so far, and remember it."""
        known = self._newest.pop(key, 0)
        self._newest[key] = max(known, generation)
        if len(self._newest) > self._kept:
            del self._newest[next(iter(self._newest))]
        return generation >= known
