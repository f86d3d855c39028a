"""Mail through the circuit of its server, like every other outgoing call."""

from email.message import EmailMessage
from typing import Final

from aiosmtplib import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
)

from services.lookups import Clock
from services.mail.mailer import Mailer, SmtpMailer, mailer_for
from services.outgoing.breaker import Breakers
from storage.settings import Settings

_SHUTTING_DOWN: Final = 421


class GuardedMailer:
    """A refusal of one message, such as for an unknown recipient, says nothing against the server.

    `host` names it in health and metrics.
    """

    def __init__(self, mailer: Mailer, host: str, breakers: Breakers) -> None:
        self._mailer = mailer
        self._host = host
        self._breakers = breakers

    async def send(self, message: EmailMessage) -> None:
        """Raises `OSError` or `SMTPException`; `CircuitOpenError` is one of the former."""
        refusal: SMTPException | None = None
        async with self._breakers.guard(self._host):
            try:
                await self._mailer.send(message)
            except SMTPException as error:
                if not _is_refusal(error):
                    raise
                refusal = error
        if refusal is not None:
            raise refusal


def guarded_mailer(settings: Settings, clock: Clock, breakers: Breakers) -> Mailer:
    """The installation's mailer; files need no circuit."""
    mailer = mailer_for(settings, clock)
    return GuardedMailer(mailer, mailer.server, breakers) if isinstance(mailer, SmtpMailer) else mailer


def _is_refusal(error: SMTPException) -> bool:
    if isinstance(error, SMTPDataError | SMTPRecipientRefused | SMTPSenderRefused):
        return error.code != _SHUTTING_DOWN
    return isinstance(error, SMTPRecipientsRefused)
