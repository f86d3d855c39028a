"""What is degraded: the readiness of one process."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from storage.reactions import DeadLetterRecord

_CHECK_SECONDS_MAX = 1.0

Check = Callable[[], Awaitable[None]]
"""Returns when all is well; raises, or takes too long, when not."""


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing this process depends on. Without an essential one it cannot serve."""

    name: str
    ok: bool
    essential: bool
    problem: str = ""
    affects: tuple[str, ...] = ()
    """Features that suffer while it is away."""


class Readiness(msgspec.Struct, frozen=True):
    ready: bool
    degraded: tuple[str, ...]
    parts: tuple[Part, ...]


class Health:
    """`essential` and `helpful` checks by name; both are asked at once, each for at most a second.

    `affects` names by part the features that suffer without it.
    """

    def __init__(
        self,
        essential: Mapping[str, Check],
        helpful: Mapping[str, Check],
        affects: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._affects = dict(affects or {})
        self._essential = dict(essential)
        self._helpful = dict(helpful)
        self.draining = False
        self._asking: asyncio.Task[list[Part]] | None = None

    async def readiness(self) -> Readiness:
        """Those who ask at once share one round of checks: anybody may ask, and as often as they like."""
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask_all())
        asked = await asyncio.shield(self._asking)
        parts = tuple(
            part if part.ok else msgspec.structs.replace(part, affects=self._affects.get(part.name, ()))
            for part in asked
        )
        if self.draining:
            parts = (*parts, Part("serving", ok=False, essential=True, problem="draining"))
        ready = all(part.ok for part in parts if part.essential)
        return Readiness(ready, tuple(part.name for part in parts if not part.ok), parts)

    async def _ask_all(self) -> list[Part]:
        checks = [(name, check, True) for name, check in self._essential.items()]
        checks += [(name, check, False) for name, check in self._helpful.items()]
        try:
            return await asyncio.gather(*(_ask(name, check, needed) for name, check, needed in checks))
        finally:
            self._asking = None


async def _ask(name: str, check: Check, essential: bool) -> Part:
    try:
        async with asyncio.timeout(_CHECK_SECONDS_MAX):
            await check()
    except TimeoutError:
        return Part(name, ok=False, essential=essential, problem="no answer in time")
    except Exception as error:
        return Part(name, ok=False, essential=essential, problem=type(error).__name__)
    return Part(name, ok=True, essential=essential)


class DeadLetters(Protocol):
    async def list(self, after_id: str, limit: int) -> Sequence[DeadLetterRecord]:
        """Oldest first, after `after_id` ("" from the beginning)."""

    async def retry(self, letter_id: str) -> bool:
        """Have it tried again. False: no such letter."""
