"""A software authenticator: what a browser and a passkey answer to WebAuthn's options, with real CBOR and ES256."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

ORIGIN = "http://localhost:8000"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
ES256 = -7


def coded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "==")


@dataclass
class Authenticator:
    """One passkey. `counts` False: a synchronized one, whose count of signatures stays 0."""

    origin: str = ORIGIN
    counts: bool = True
    flags: int = PRESENT | VERIFIED
    key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    count: int = 0
    user_handle: str = ""

    def create(self, options: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """`navigator.credentials.create(options).toJSON()`."""
        assert {"type": "public-key", "alg": ES256} in options["pubKeyCredParams"]
        assert options["authenticatorSelection"]["userVerification"] == "required"
        self.user_handle = options["user"]["id"]
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: ES256, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(public)
        data = self._data(changes.get("rp_id", options["rp"]["id"]), ATTESTED) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": coded(self._client_data("webauthn.create", options)),
            "attestationObject": coded(attestation),
            "transports": ["internal", "hybrid"],
        }
        return self._credential(response)

    def get(self, options: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """`navigator.credentials.get(options).toJSON()`. `changes`: `rp_id`, `user_handle`, `key`, `type`."""
        assert options["userVerification"] == "required"
        if self.counts:
            self.count += 1
        data = self._data(changes.get("rp_id", options["rpId"]))
        client_data = self._client_data(changes.get("type", "webauthn.get"), options)
        signed = data + hashlib.sha256(client_data).digest()
        response = {
            "clientDataJSON": coded(client_data),
            "authenticatorData": coded(data),
            "signature": coded(changes.get("key", self.key).sign(signed, ECDSA(SHA256()))),
            "userHandle": changes.get("user_handle", self.user_handle),
        }
        return self._credential(response)

    def copy(self) -> "Authenticator":
        """Stolen from its device."""
        return Authenticator(self.origin, self.counts, self.flags, self.key, self.id, self.count, self.user_handle)

    def _data(self, rp_id: str, more: int = 0) -> bytes:
        hashed = hashlib.sha256(rp_id.encode()).digest()
        return hashed + bytes([self.flags | more]) + self.count.to_bytes(4, "big")

    def _client_data(self, type_: str, options: dict[str, Any]) -> bytes:
        words = {"type": type_, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(words).encode()

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": coded(self.id),
            "rawId": coded(self.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": response,
        }
