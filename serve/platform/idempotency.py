"""Rule M9 for requests that change plain tables: by one Idempotency-Key a request runs once.

Commands of entities have their own, in the journal, for as long as that exists; all other mutations are remembered here
for a day. The first answer is kept sealed and given to every repeat. What was refused is not kept: it is decided anew.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol

import msgspec
import structlog

from domain.errors import AtriumError, Conflict, Invalid
from domain.ids import new_id
from serve.limits import GatewayLimits
from serve.platform.answers import replayed
from serve.platform.call import Answer, Call
from services.lookups import Clock
from storage.idempotency import Attempt, Earlier

PRUNE_SECONDS: Final = 600.0
_SECOND_MS: Final = 1_000
_SUCCESS: Final = range(200, 300)
_log = structlog.get_logger("serve.idempotency")


class KeyedAnswers(Protocol):
    """`storage.idempotency.IdempotencyTable`."""

    async def begin(self, attempt: Attempt) -> Earlier | None: ...
    async def finish(self, key: bytes, attempt_id: str, answer: bytes) -> None: ...
    async def forget(self, key: bytes, attempt_id: str) -> None: ...
    async def prune(self, now_ms: int) -> int: ...


class _Kept(msgspec.Struct, array_like=True):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    media_type: bytes


class Once:
    """What runs once by a key."""

    def __init__(self, store: KeyedAnswers, clock: Clock, limits: GatewayLimits) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits

    async def run(self, call: Call, handler: Callable[[], Awaitable[Answer]]) -> Answer:
        """The first answer to this key, made by `handler` unless there is one.

        A key belongs to the subject, the method and the path; without a subject also to the body, so that strangers who
        think of the same key do not meet. Raises `Invalid` (`idempotency_key_reused`) for another body, `Conflict`
        (`request_running`) while the first is at it, and what `handler` raises.
        """
        key = call.idempotency_key()
        if key is None:
            return await handler()
        now, request = self._clock.now_ms(), _request_hash(call)
        mine = b"" if call.actor.subject else request
        attempt = Attempt(
            key=_hash(
                call.actor.subject.encode(), call.method.encode(), call.scope["path"].encode(), key.encode(), mine
            ),
            request=request,
            id=new_id(),
            now_ms=now,
            running_until_ms=now + int(self._limits.idempotency_running_seconds_max * _SECOND_MS),
            expires_at_ms=now + self._limits.idempotency_keep_seconds * _SECOND_MS,
        )
        earlier = await self._store.begin(attempt)
        if earlier is not None:
            return _again(earlier, request)
        try:
            answer = await handler()
        except asyncio.CancelledError:
            raise  # it may have happened: nobody runs it before its time is over
        except BaseException:
            await self._forgotten(attempt)
            raise
        kept = _kept(answer, self._limits.idempotency_answer_bytes_max)
        if kept is None:
            await self._forgotten(attempt)
        else:
            await _in_spite(self._store.finish(attempt.key, attempt.id, kept))
        return answer

    async def _forgotten(self, attempt: Attempt) -> None:
        await _in_spite(self._store.forget(attempt.key, attempt.id))


async def prune_forever(
    store: KeyedAnswers, clock: Clock, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Forget what has expired, every ten minutes."""
    while True:
        await pause(PRUNE_SECONDS)
        await _in_spite(store.prune(clock.now_ms()))


def _again(earlier: Earlier, request: bytes) -> Answer:
    if earlier.request != request:
        raise Invalid("This key was used with another body.", code="idempotency_key_reused")
    if earlier.answer is None:
        raise Conflict(
            "The first request with this key is still running.", code="request_running", retry_after_ms=_SECOND_MS
        )
    kept = msgspec.msgpack.decode(earlier.answer, type=_Kept)
    return Answer(kept.body, kept.status, [*kept.headers, *replayed(True)], kept.media_type)


def _kept(answer: Answer, bytes_max: int) -> bytes | None:
    """What is kept of it, None for what is decided anew: refusals, long answers, cookies."""
    if int(answer.status) not in _SUCCESS or len(answer.body) > bytes_max:
        return None
    if any(name == b"set-cookie" for name, _ in answer.headers):
        return None
    headers = [header for header in answer.headers if header not in replayed(True)]  # it is said of each repeat anew
    return msgspec.msgpack.encode(_Kept(int(answer.status), headers, answer.body, answer.media_type))


def _request_hash(call: Call) -> bytes:
    return _hash(call.body_hash() or b"", call.scope["query_string"])


def _hash(*parts: bytes) -> bytes:
    """Of the parts and their lengths, so that no two lists of parts are one text."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(len(part).to_bytes(4, "big") + part)
    return hashed.digest()


async def _in_spite(work: Coroutine[Any, Any, Any]) -> None:
    """What was done is answered also when it cannot be remembered; the key is then free after its time."""
    try:
        await work
    except AtriumError as error:
        _log.warning("idempotency_not_recorded", code=error.failure.code)
