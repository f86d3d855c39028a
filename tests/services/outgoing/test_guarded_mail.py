"""Mail through the circuit of its server."""

from email.message import EmailMessage

import pytest
from aiosmtplib import SMTPDataError, SMTPException, SMTPRecipientRefused, SMTPRecipientsRefused, SMTPServerDisconnected

from services.mail.guarded import GuardedMailer, guarded_mailer
from services.mail.mailer import FileMailer
from services.outgoing.breaker import Breakers
from services.outgoing.errors import CircuitOpenError
from services.outgoing.limits import DEFAULTS
from storage.settings import Settings
from tests.serve.house import ManualClock


class Failing:
    def __init__(self, error):
        self.error = error
        self.tried = 0

    async def send(self, message):
        self.tried += 1
        if self.error is not None:
            raise self.error


async def sent(error, times):
    breakers, inner = Breakers(), Failing(error)
    mailer = GuardedMailer(inner, "mail.test:587", breakers)
    for _ in range(times):
        with pytest.raises((OSError, SMTPException)):
            await mailer.send(EmailMessage())
    return breakers.of("mail.test:587"), inner


@pytest.mark.parametrize(
    "error", [SMTPServerDisconnected("gone"), SMTPDataError(421, "closing"), ConnectionRefusedError(), TimeoutError()]
)
async def test_a_server_that_is_away_is_left_alone_after_some_failures(error):
    breaker, inner = await sent(error, DEFAULTS.failures_to_open + 2)
    assert inner.tried == DEFAULTS.failures_to_open
    with pytest.raises(CircuitOpenError):
        breaker.admit()


@pytest.mark.parametrize(
    "error",
    [
        SMTPDataError(550, "spam"),
        SMTPRecipientRefused(550, "no such user", "a@example.test"),
        SMTPRecipientsRefused([SMTPRecipientRefused(550, "no such user", "a@example.test")]),
    ],
)
async def test_recipients_that_are_unknown_do_not_keep_others_from_their_mail(error):
    breaker, inner = await sent(error, 20)
    assert inner.tried == 20
    assert breaker.is_spotless


async def test_mail_servers_have_a_circuit_and_files_need_none(tmp_path):
    breakers = Breakers()
    smtp = guarded_mailer(Settings(smtp_url="smtp://127.0.0.1:1", data_dir=tmp_path), ManualClock(), breakers)
    with pytest.raises((OSError, SMTPException)):
        await smtp.send(EmailMessage())
    assert breakers.of("127.0.0.1:1").calls == {"failed": 1}
    assert isinstance(guarded_mailer(Settings(data_dir=tmp_path), ManualClock(), breakers), FileMailer)
