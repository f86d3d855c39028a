"""A key management service as key-encryption key, in the form of Vault's transit engine: it wraps data keys,
and its own key never leaves it.

    POST {url}/v1/transit/encrypt/{key}   {"plaintext": base64}    → {"data": {"ciphertext": "vault:v1:…"}}
    POST {url}/v1/transit/decrypt/{key}   {"ciphertext": "vault:…"} → {"data": {"plaintext": base64}}

It is asked when a process starts and when there is a new data key. In between it may be away: keys that were unwrapped
stay in memory. Its own key may be rotated there at any time.
"""

import asyncio
import base64
import binascii
import ssl
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from storage.key_management import Guard
from storage.key_wrapping import EncryptionKeyError, KeyServiceAwayError

KMS_SECONDS_MAX: Final = 5.0
"""An answer that takes longer, from connecting to its last byte, is none."""
ANSWER_BYTES_MAX: Final = 65_536
"""An answer that is longer is none: no more of it is read."""

_MOUNT: Final = "transit"
_AS_IT_IS: Final = {"accept-encoding": "identity"}
_TOKEN: Final = "X-Vault-Token"  # noqa: S105 - the header's name
_ASK_AGAIN: Final = frozenset({408, 412, 429, 472, 473})
"""Besides 5xx, answers of a service that cannot be asked now: busy, or a standby."""


class _Data(msgspec.Struct):
    ciphertext: str = ""
    plaintext: str = ""


class _Answer(msgspec.Struct):
    data: _Data


_answer = msgspec.json.Decoder(_Answer).decode
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[bytes, bytes]).decode


class TransitWrapper:
    """A `KeyWrapper`. The context is wrapped with the key, and compared when it is unwrapped."""

    def __init__(
        self,
        url: str,
        key: str,
        token: Callable[[], str],
        *,
        ca_file: Path | None = None,
        guard: Guard = nullcontext,
        timeout_s: float = KMS_SECONDS_MAX,
    ) -> None:
        """`token` is asked at each call: it may be renewed by others. `ca_file`: who signed the service's certificate,
        if not one of the system's."""
        self.name = f"{_MOUNT}:{key}"
        self._url = url.rstrip("/")
        self._host = urlsplit(url).netloc
        self._key = quote(key, safe="")
        self._token = token
        self._ca_file = ca_file
        self._guard = guard
        self._timeout_s = timeout_s

    async def wrap(self, key: bytes, context: bytes) -> bytes:
        plaintext = base64.b64encode(_pack((context, key))).decode()
        found = await self._ask("encrypt", {"plaintext": plaintext})
        if not found.ciphertext:
            raise EncryptionKeyError(f"{self._host} gave no ciphertext")
        return found.ciphertext.encode()

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        found = await self._ask("decrypt", {"ciphertext": wrapped.decode("ascii", "replace")})
        try:
            bound, key = _unpack(base64.b64decode(found.plaintext, validate=True))
        except (binascii.Error, ValueError, msgspec.DecodeError):
            raise EncryptionKeyError(f"a data key is damaged, or not wrapped by {self.name}") from None
        if bound != context:
            raise EncryptionKeyError("a wrapped data key lies in another's place")
        return key

    async def _ask(self, operation: str, body: dict[str, str]) -> _Data:
        headers = {_TOKEN: self._read_token(), **_AS_IT_IS}
        url = f"{self._url}/v1/{_MOUNT}/{operation}/{self._key}"
        try:
            async with self._guard(self._host), asyncio.timeout(self._timeout_s), self._client() as client:
                status, content = await _asked(client, url, body, headers)
                _raise_if_away(self._host, status, content)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise KeyServiceAwayError(f"{self._host} cannot be reached: {type(error).__name__}") from None
        if status != 200:
            raise EncryptionKeyError(
                f"{self._host} refused to {operation} with {self.name}: {_reason(status, content)}"
            )
        try:
            return _answer(content).data
        except msgspec.DecodeError:
            raise EncryptionKeyError(f"{self._host} did not answer as a key management service does") from None

    def _client(self) -> httpx.AsyncClient:
        try:
            verify = ssl.create_default_context(cafile=None if self._ca_file is None else str(self._ca_file))
        except OSError as error:
            raise EncryptionKeyError(f"the certificates in {self._ca_file} cannot be used: {error}") from None
        return httpx.AsyncClient(verify=verify, timeout=self._timeout_s, trust_env=False, follow_redirects=False)

    def _read_token(self) -> str:
        try:
            token = self._token().strip()
        except OSError as error:
            raise EncryptionKeyError(f"the token for {self._host} cannot be read: {error}") from None
        if not token or not token.isascii() or not token.isprintable():
            raise EncryptionKeyError(f"there is no token for {self._host}")
        return token


async def _asked(
    client: httpx.AsyncClient, url: str, body: dict[str, str], headers: dict[str, str]
) -> tuple[int, bytes]:
    """Status and content; of one that is too long no more than makes it no answer."""
    content = bytearray()
    async with client.stream("POST", url, json=body, headers=headers) as answer:
        async for part in answer.aiter_raw():  # as it comes: what is compressed has no end that is known
            content += part[: ANSWER_BYTES_MAX + 1 - len(content)]
            if len(content) > ANSWER_BYTES_MAX:
                return answer.status_code, b""
    return answer.status_code, bytes(content)


def _raise_if_away(host: str, status: int, content: bytes) -> None:
    if status >= 500 or status in _ASK_AGAIN:
        raise KeyServiceAwayError(f"{host} cannot be asked now: {status} {_reason(status, content)}")


def _reason(status: int, content: bytes) -> str:
    """What it says, in one line; it never repeats what was sent."""
    try:
        document: Any = msgspec.json.decode(content)
        said = "; ".join(str(each) for each in document["errors"])
    except (msgspec.DecodeError, KeyError, TypeError):
        said = ""
    return " ".join(said.split())[:200] or str(status)
