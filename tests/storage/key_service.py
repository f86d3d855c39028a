"""A key management service in the form of Vault's transit engine: a real HTTP server on a port of its own."""

import base64
import binascii
import ipaddress
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "s.unit-test"


class KeyService(ThreadingHTTPServer):
    """`status`: answer everything with it instead. `endless`: with bytes that never end, or one every so many
    seconds."""

    daemon_threads = True

    def __init__(self, tls: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys = {"atrium": [AESGCM(secrets.token_bytes(32))]}
        self.asked: list[str] = []
        self.status = 0
        self.endless: float | None = None
        self.sent_bytes = 0
        self._scheme = "http"
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self._scheme = "https"

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.server_port}"

    def rotate(self, name: str = "atrium") -> None:
        self.keys[name].append(AESGCM(secrets.token_bytes(32)))

    def handle_error(self, *_: Any) -> None:
        """A client that does not trust us goes away: that is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: KeyService

    def do_POST(self) -> None:
        self.server.asked.append(self.path)
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        _, v1, mount, operation, name = self.path.split("/")
        if self.server.endless is not None:
            self._go_on(self.server.endless)
            return
        if self.server.status:
            self._say(self.server.status, {"errors": ["Vault is sealed"]})
        elif self.headers["X-Vault-Token"] != TOKEN:
            self._say(403, {"errors": ["permission denied"]})
        elif (v1, mount) != ("v1", "transit") or name not in self.server.keys:
            self._say(404, {"errors": []})
        elif operation == "encrypt":
            self._say(200, {"data": {"ciphertext": self._encrypted(name, base64.b64decode(body["plaintext"]))}})
        else:
            self._decrypt(name, body["ciphertext"])

    def _encrypted(self, name: str, plaintext: bytes) -> str:
        keys, nonce = self.server.keys[name], secrets.token_bytes(12)
        return f"vault:v{len(keys)}:" + base64.b64encode(nonce + keys[-1].encrypt(nonce, plaintext, None)).decode()

    def _decrypt(self, name: str, ciphertext: str) -> None:
        try:
            _, version, text = ciphertext.split(":")
            raw = base64.b64decode(text, validate=True)
            plaintext = self.server.keys[name][int(version[1:]) - 1].decrypt(raw[:12], raw[12:], None)
        except (ValueError, binascii.Error, InvalidTag, IndexError):
            self._say(400, {"errors": ["cipher: message authentication failed"]})
        else:
            self._say(200, {"data": {"plaintext": base64.b64encode(plaintext).decode()}})

    def _go_on(self, pause_s: float) -> None:
        self.send_response(self.server.status or 200)
        self.end_headers()
        part = b" " if pause_s else b" " * 65_536
        with suppress(OSError):
            while True:
                self.wfile.write(part)
                self.server.sent_bytes += len(part)
                time.sleep(pause_s)

    def _say(self, status: int, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing: it would go to standard error."""


@contextmanager
def serving(tls: Path | None = None) -> Iterator[KeyService]:
    with KeyService(tls) as service:
        thread = threading.Thread(target=lambda: service.serve_forever(poll_interval=0.01))
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()


def certificate(folder: Path) -> Path:
    """A file with a key and a certificate for 127.0.0.1 that it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "service.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file
