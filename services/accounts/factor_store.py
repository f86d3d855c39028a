"""Where second factors are kept. Each method is one transaction; `storage.accounts.factors` has them on Postgres."""

from collections.abc import Sequence
from typing import Protocol

from storage.accounts.factor_records import Added, ChallengeRecord, PasskeyRecord, TotpRecord


class FactorStore(Protocol):
    """All raise `Unavailable` when the database is away. What is used once is so also for two at once."""

    async def kinds(self, user_id: str) -> frozenset[str]:
        """Of the factors that hold: `totp`, `passkey`."""

    async def totp(self, user_id: str) -> TotpRecord | None:
        """Confirmed or not."""

    async def put_totp(self, factor: TotpRecord) -> bool:
        """In the place of one that was never confirmed. False, and nothing written, when one is."""

    async def confirm_totp(self, factor_id: str, step: int, hashes: Sequence[bytes], now_ms: int) -> Added:
        """Once, by the code of a time step. `hashes` are of recovery codes for whoever has none."""

    async def use_totp(self, factor_id: str, step: int, now_ms: int) -> bool:
        """False when this or a later time step was used before."""

    async def passkeys(self, user_id: str) -> Sequence[PasskeyRecord]:
        """The oldest first."""

    async def passkey(self, credential_id: bytes) -> PasskeyRecord | None: ...
    async def add_passkey(self, passkey: PasskeyRecord, *, count_max: int, hashes: Sequence[bytes]) -> Added: ...
    async def use_passkey(self, credential_id: bytes, count: int, now_ms: int) -> bool:
        """False when its count of signatures does not rise to `count`; one that never counts stays at 0."""

    async def remove(self, user_id: str, factor_id: str) -> bool:
        """With the last one the recovery codes go. False when this person has no such factor."""

    async def remove_all(self, user_id: str) -> int:
        """All factors, all recovery codes; how many factors there were."""

    async def put_recovery_codes(self, user_id: str, hashes: Sequence[bytes], now_ms: int) -> None:
        """In the place of all others."""

    async def spend_recovery_code(self, user_id: str, hash: bytes, now_ms: int) -> bool: ...
    async def recovery_codes_left(self, user_id: str) -> int: ...
    async def add_challenge(self, challenge: ChallengeRecord) -> None:
        """Those that have run out are forgotten."""

    async def challenge(self, hash: bytes, now_ms: int) -> ChallengeRecord | None:
        """One that can still be answered."""

    async def spend_challenge(self, hash: bytes, now_ms: int) -> bool: ...
