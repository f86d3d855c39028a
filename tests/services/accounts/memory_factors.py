"""Second factors in memory: `services.accounts.factor_store.FactorStore`."""

from collections.abc import Sequence

import msgspec

from storage.accounts.factor_records import PASSKEY, TOTP, Added, ChallengeRecord, PasskeyRecord, TotpRecord


class MemoryFactors:
    def __init__(self) -> None:
        self.totps: dict[str, TotpRecord] = {}
        self.keys: dict[bytes, PasskeyRecord] = {}
        self.codes: dict[str, dict[bytes, bool]] = {}
        self.challenges: dict[bytes, ChallengeRecord] = {}

    async def kinds(self, user_id: str) -> frozenset[str]:
        totp = self.totps.get(user_id)
        found = {TOTP} if totp is not None and totp.confirmed_at_ms else set()
        return frozenset(found | ({PASSKEY} if self._of(user_id) else set()))

    async def totp(self, user_id: str) -> TotpRecord | None:
        return self.totps.get(user_id)

    async def put_totp(self, factor: TotpRecord) -> bool:
        kept = self.totps.get(factor.user_id)
        if kept is not None and kept.confirmed_at_ms:
            return False
        self.totps[factor.user_id] = factor
        return True

    async def confirm_totp(self, factor_id: str, step: int, hashes: Sequence[bytes], now_ms: int) -> Added:
        found = next((one for one in self.totps.values() if one.id == factor_id and not one.confirmed_at_ms), None)
        if found is None:
            return Added("unknown")
        changes = {"confirmed_at_ms": now_ms, "last_used_at_ms": now_ms, "last_step": step}
        self.totps[found.user_id] = msgspec.structs.replace(found, **changes)
        return Added(codes=self._first_codes(found.user_id, hashes))

    async def use_totp(self, factor_id: str, step: int, now_ms: int) -> bool:
        found = next((one for one in self.totps.values() if one.id == factor_id), None)
        if found is None or not found.confirmed_at_ms or found.last_step >= step:
            return False
        self.totps[found.user_id] = msgspec.structs.replace(found, last_step=step, last_used_at_ms=now_ms)
        return True

    async def passkeys(self, user_id: str) -> Sequence[PasskeyRecord]:
        return sorted(self._of(user_id), key=lambda one: (one.created_at_ms, one.id))

    async def passkey(self, credential_id: bytes) -> PasskeyRecord | None:
        return self.keys.get(credential_id)

    async def add_passkey(self, passkey: PasskeyRecord, *, count_max: int, hashes: Sequence[bytes]) -> Added:
        if len(self._of(passkey.user_id)) >= count_max:
            return Added("full")
        if passkey.credential_id in self.keys:
            return Added("taken")
        self.keys[passkey.credential_id] = passkey
        return Added(codes=self._first_codes(passkey.user_id, hashes))

    async def use_passkey(self, credential_id: bytes, count: int, now_ms: int) -> bool:
        found = self.keys.get(credential_id)
        if found is None or not (found.sign_count < count or found.sign_count == count == 0):
            return False
        self.keys[credential_id] = msgspec.structs.replace(found, sign_count=count, last_used_at_ms=now_ms)
        return True

    async def remove(self, user_id: str, factor_id: str) -> bool:
        gone = self._drop(user_id, factor_id)
        if gone and not await self.kinds(user_id):
            self.codes.pop(user_id, None)
        return bool(gone)

    async def remove_all(self, user_id: str) -> int:
        self.codes.pop(user_id, None)
        return self._drop(user_id, "")

    async def put_recovery_codes(self, user_id: str, hashes: Sequence[bytes], now_ms: int) -> None:
        self.codes[user_id] = dict.fromkeys(hashes, True)

    async def spend_recovery_code(self, user_id: str, hash: bytes, now_ms: int) -> bool:
        good = self.codes.get(user_id, {}).get(hash, False)
        if good:
            self.codes[user_id][hash] = False
        return good

    async def recovery_codes_left(self, user_id: str) -> int:
        return sum(self.codes.get(user_id, {}).values())

    async def add_challenge(self, challenge: ChallengeRecord) -> None:
        self.challenges[challenge.hash] = challenge

    async def challenge(self, hash: bytes, now_ms: int) -> ChallengeRecord | None:
        found = self.challenges.get(hash)
        return None if found is None or found.expires_at_ms <= now_ms else found

    async def spend_challenge(self, hash: bytes, now_ms: int) -> bool:
        return await self.challenge(hash, now_ms) is not None and self.challenges.pop(hash, None) is not None

    def _of(self, user_id: str) -> list[PasskeyRecord]:
        return [one for one in self.keys.values() if one.user_id == user_id]

    def _first_codes(self, user_id: str, hashes: Sequence[bytes]) -> bool:
        if self.codes.get(user_id):
            return False
        self.codes[user_id] = dict.fromkeys(hashes, True)
        return True

    def _drop(self, user_id: str, factor_id: str) -> int:
        """With "" all."""
        totps = [one for one in self.totps.values() if one.user_id == user_id and factor_id in {"", one.id}]
        keys = [one for one in self._of(user_id) if factor_id in {"", one.id}]
        for totp in totps:
            del self.totps[totp.user_id]
        for key in keys:
            del self.keys[key.credential_id]
        return len(totps) + len(keys)
