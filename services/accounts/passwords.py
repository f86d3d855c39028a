"""Passwords: how strong one must be, and what is kept of it. Hashing never runs on the event loop."""

import asyncio
import threading
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher
from zxcvbn import zxcvbn

from domain.errors import Unavailable, invalid_field
from services.accounts.limits import DEFAULTS, AccountLimits

T = TypeVar("T")

_JUDGED_CHARACTERS: Final = 72
"""zxcvbn takes time with the square of the length; what so long a beginning is not worth, the rest is not either."""
_BCRYPT_BYTES_MAX: Final = 72


class Passwords:
    """argon2id for new hashes; bcrypt ones from elsewhere verify, and are upgraded by the next login.

    `hashing` may be a cheaper one in tests. Close it when done.
    """

    def __init__(self, limits: AccountLimits = DEFAULTS, hashing: Argon2Hasher | None = None) -> None:
        self._limits = limits
        self._hashing = PasswordHash((hashing or Argon2Hasher(), BcryptHasher()))
        self._pool = ThreadPoolExecutor(limits.hashing_threads, thread_name_prefix="passwords")
        self._judging = threading.Lock()
        self._waiting = 0
        self._dummy = ""

    async def check(self, password: str, path: str, personal: Sequence[str]) -> None:
        """Raises `Invalid` for a password that is too short, too long or too easy to guess.

        `personal`: what others know of this person, such as their name and address.
        """
        shortest, longest = self._limits.password_characters_min, self._limits.password_characters_max
        if len(password) < shortest:
            raise invalid_field(path, "password_too_short", f"Must have at least {shortest} characters.")
        if len(password) > longest:
            raise invalid_field(path, "too_long", f"Must have at most {longest} characters.")
        if await self._run(lambda: self._score(_plain(password), personal)) < self._limits.password_score_min:
            raise invalid_field(path, "password_too_weak", "Too easy to guess: use several unusual words.")

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._hashing.hash(_plain(password)))

    async def verify(self, password: str, kept: str) -> tuple[bool, str]:
        """Whether it is the password of `kept`, and a better hash of it, or "" when `kept` is as good.

        With `kept` "" (nobody, or nobody with a password) it is False, after just as long.
        """
        return await self._run(lambda: self._verify(_plain(password), kept))

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _verify(self, password: str, kept: str) -> tuple[bool, str]:
        if not self._dummy:  # whoever comes first waits for it, with an account or without
            self._dummy = self._hashing.hash("nobody has this password")
        if not kept:
            self._hashing.verify(password, self._dummy)
            return False, ""
        if kept.startswith("$2") and len(password.encode()) > _BCRYPT_BYTES_MAX:
            return False, ""
        try:
            holds, better = self._hashing.verify_and_update(password, kept)
        except PwdlibError:
            return False, ""
        return holds, better or ""

    def _score(self, password: str, personal: Sequence[str]) -> int:
        words = [word for text in personal for word in (text, *text.replace("@", " ").replace(".", " ").split())]
        with self._judging:  # the library keeps the words in a global
            return int(zxcvbn(password[:_JUDGED_CHARACTERS], user_inputs=words)["score"])

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._limits.hashing_waiting_max:
            raise Unavailable("Too many passwords at once.", code="overloaded", retry_after_ms=1_000)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


def _plain(password: str) -> str:
    """The same password from every keyboard: some compose letters and accents, some do not."""
    return unicodedata.normalize("NFC", password)
