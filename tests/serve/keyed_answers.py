"""`storage.idempotency.IdempotencyTable` in memory."""

from dataclasses import dataclass

from storage.idempotency import Attempt, Earlier


@dataclass
class _Row:
    attempt: Attempt
    answer: bytes | None = None


class MemoryKeyedAnswers:
    def __init__(self) -> None:
        self.rows: dict[bytes, _Row] = {}

    async def begin(self, attempt: Attempt) -> Earlier | None:
        row, now = self.rows.get(attempt.key), attempt.now_ms
        until = 0 if row is None else row.attempt.expires_at_ms if row.answer else row.attempt.running_until_ms
        if row is not None and now < until:
            return Earlier(row.attempt.request, row.answer)
        self.rows[attempt.key] = _Row(attempt)
        return None

    async def finish(self, key: bytes, attempt_id: str, answer: bytes) -> None:
        row = self.rows.get(key)
        if row is not None and row.attempt.id == attempt_id and row.answer is None:
            row.answer = answer

    async def forget(self, key: bytes, attempt_id: str) -> None:
        row = self.rows.get(key)
        if row is not None and row.attempt.id == attempt_id and row.answer is None:
            del self.rows[key]

    async def prune(self, now_ms: int) -> int:
        old = [key for key, row in self.rows.items() if row.attempt.expires_at_ms <= now_ms]
        for key in old:
            del self.rows[key]
        return len(old)
