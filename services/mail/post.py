"""What is written to people, in their language. Sent beside the request, after the commit it tells of."""

import asyncio
from pathlib import Path
from typing import Final

import structlog
from aiosmtplib import SMTPException
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from services.background import Background
from services.lookups import Clock
from services.mail.mailer import Mailer, compose

LANGUAGES: Final = ("en", "de")
TEMPLATES: Final = Path(__file__).parent / "templates"
"""`<message>.<language>.txt`: the subject, an empty line, paragraphs. `layout.html` puts the same into HTML."""

_PAUSES_S: Final = (1.0, 5.0, 25.0)
_log = structlog.get_logger("services.mail")


class Post:
    """Nothing that a person typed stands in any message, so that nobody can write to others through us."""

    def __init__(
        self,
        mailer: Mailer,
        background: Background,
        clock: Clock,
        *,
        sender: str,
        app_url: str = "",
        pauses_s: tuple[float, ...] = _PAUSES_S,
    ) -> None:
        """`app_url`: the web application that links lead to; "": messages have only the code to type in."""
        self._mailer = mailer
        self._background = background
        self._clock = clock
        self._sender = sender
        self._app_url = app_url.rstrip("/")
        self._pauses_s = pauses_s
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def send(self, message: str, to: str, locale: str, *, token: str = "", page: str = "") -> None:
        """`page` of the web application takes the token, in the fragment, which no server logs."""
        language = locale[:2] if locale[:2] in LANGUAGES else LANGUAGES[0]
        link = f"{self._app_url}/{page}#token={token}" if self._app_url and token else ""
        text = self._templates.get_template(f"{message}.{language}.txt").render(token=token, link=link)
        subject, _, body = text.partition("\n")
        paragraphs = [part.strip() for part in body.split("\n\n") if part.strip()]
        html = self._templates.get_template("layout.html").render(
            language=language, subject=subject, paragraphs=paragraphs, link=link
        )
        mail = compose(
            sender=self._sender,
            to=to,
            subject=subject,
            text="\n\n".join(paragraphs) + "\n",
            html=html,
            now_ms=self._clock.now_ms(),
        )

        async def deliver() -> None:
            for pause in (*self._pauses_s, 0.0):
                try:
                    return await self._mailer.send(mail)
                except (OSError, SMTPException) as error:
                    _log.warning("mail_not_sent", message=message, error=type(error).__name__)
                    await asyncio.sleep(pause)
            _log.error("mail_given_up", message=message)
            return None

        self._background.start("mail", deliver())
