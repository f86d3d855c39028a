"""How mail leaves: by SMTP when that is configured, otherwise as readable files in the data folder."""

import asyncio
import os
import secrets
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

from domain.times import to_datetime
from services.lookups import Clock
from services.outgoing.limits import DEFAULTS as OUTGOING
from storage.settings import Settings

MAIL_FOLDER: Final = "mail"
_PORTS: Final = {"smtp": 587, "smtps": 465}


class Mailer(Protocol):
    async def send(self, message: EmailMessage) -> None:
        """Hand one message over. Raises `OSError` or `aiosmtplib.SMTPException` when that did not work."""


class SmtpMailer:
    """One connection a message. `smtps://` is TLS from the start; `smtp://` takes STARTTLS where it is offered,
    and insists on it before it sends a password."""

    def __init__(self, url: str, timeout_s: float = OUTGOING.mail_seconds) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "localhost"
        self._port = parts.port or _PORTS[parts.scheme]
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._tls = parts.scheme == "smtps"
        self._timeout_s = timeout_s

    @property
    def server(self) -> str:
        return f"{self._host}:{self._port}"

    async def send(self, message: EmailMessage) -> None:
        await aiosmtplib.send(
            message,
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._tls,
            start_tls=False if self._tls else (True if self._user else None),
            timeout=self._timeout_s,
        )


class FileMailer:
    """Each message is a file `<time>-<random>.eml`, for the owner's eyes only."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    async def send(self, message: EmailMessage) -> None:
        name = f"{to_datetime(self._clock.now_ms()):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.eml"
        await asyncio.to_thread(_write, self._folder, name, message.as_bytes(policy=SMTP.clone(max_line_length=998)))


def mailer_for(settings: Settings, clock: Clock) -> Mailer:
    if settings.smtp_url is not None:
        return SmtpMailer(settings.smtp_url.get_secret_value())
    return FileMailer(settings.data_dir.absolute() / MAIL_FOLDER, clock)


def compose(*, sender: str, to: str, subject: str, text: str, html: str, now_ms: int) -> EmailMessage:
    """Plain text with its HTML beside it. Nothing of it is answered by machines (`Auto-Submitted`)."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"] = format_datetime(to_datetime(now_ms))
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].rstrip(">") or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    return message


def _write(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
