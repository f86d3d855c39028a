"""Mail: files where no server is configured, templates in every language, retries."""

import asyncio
import email
import socket
import stat
from email.policy import default

import pytest
from aiosmtplib import SMTPException

from services.background import Background
from services.mail.mailer import FileMailer, SmtpMailer, compose, mailer_for
from services.mail.post import LANGUAGES, TEMPLATES, Post
from storage.settings import Settings
from tests.serve.house import ManualClock
from tests.services.accounts.people import Mailbox, text_of

MESSAGES = sorted({path.name.split(".")[0] for path in TEMPLATES.glob("*.txt")})


def post(mailer, background, **more):
    return Post(mailer, background, ManualClock(), sender="Atrium <a@example.test>", pauses_s=(0.0, 0.0), **more)


async def test_without_a_server_each_message_is_a_file_for_its_owner(tmp_path):
    background = Background(10)
    mailer = mailer_for(Settings(data_dir=tmp_path), ManualClock())
    assert isinstance(mailer, FileMailer)
    post(mailer, background, app_url="https://app.example.test/").send(
        "verify", "ada@example.test", "de", token="abc", page="verify-email"
    )
    await background.settled()
    (file,) = (tmp_path / "mail").glob("*.eml")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    mail = email.message_from_bytes(file.read_bytes(), policy=default)
    assert (mail["To"], mail["Subject"]) == ("ada@example.test", "Bestätigen Sie Ihre E-Mail-Adresse")
    link = "https://app.example.test/verify-email#token=abc"
    assert link in text_of(mail)
    assert f'<a href="{link}">' in mail.get_body(("html",)).get_content()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("app_url", ["", "https://app.example.test"])
async def test_every_message_is_there_in_every_language(message, language, app_url):
    mailbox, background = Mailbox(), Background(10)
    post(mailbox, background, app_url=app_url).send(message, "a@example.test", language, token="abc", page="p")
    await background.settled()
    (mail,) = mailbox.sent
    assert mail["Subject"]
    assert "{" not in text_of(mail)


async def test_an_unknown_language_is_english():
    mailbox, background = Mailbox(), Background(10)
    post(mailbox, background).send("reset", "a@example.test", "fr", token="abc")
    await background.settled()
    assert mailbox.sent[0]["Subject"] == "Choose a new password"


@pytest.mark.parametrize(("failures", "delivered"), [(2, 1), (3, 0)])
async def test_a_message_that_was_not_taken_is_tried_again_a_few_times(failures, delivered):
    class Flaky(Mailbox):
        left = failures

        async def send(self, message):
            if self.left:
                self.left -= 1
                raise SMTPException("not now")
            await super().send(message)

    mailbox, background = Flaky(), Background(10)
    post(mailbox, background).send("reset", "a@example.test", "en", token="abc")
    await background.settled()
    assert len(mailbox.sent) == delivered


async def test_with_a_server_mail_leaves_by_smtp(tmp_path):
    received: list[str] = []

    async def serve(reader, writer):
        writer.write(b"220 test\r\n")
        in_data = False
        while line := (await reader.readline()).decode():
            if in_data:
                in_data = line != ".\r\n"
                received.append(line)
                answer = "" if in_data else "250 kept"
            else:
                received.append(line)
                verb = line[:4].upper().strip()
                in_data = verb == "DATA"
                answer = {"DATA": "354 go on", "QUIT": "221 bye"}.get(verb, "250 ok")
            if answer:
                writer.write(f"{answer}\r\n".encode())
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        mailer = mailer_for(Settings(data_dir=tmp_path, smtp_url=f"smtp://127.0.0.1:{port}"), ManualClock())
        background = Background(10)
        post(mailer, background).send("reset", "ada@example.test", "en", token="abc")
        await background.settled()
    assert "RCPT TO:<ada@example.test>\r\n" in received
    assert "Code: abc\r\n" in received
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["http://mail.test", "mail.test:25"])
def test_what_is_no_smtp_url_is_refused_without_being_shown(url):
    with pytest.raises(ValueError, match="smtp://") as refused:
        Settings(smtp_url=url)
    assert "mail.test" not in str(refused.value)


async def test_a_server_that_is_away_is_an_error_the_post_knows():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    message = compose(sender="a@example.test", to="b@example.test", subject="s", text="t", html="<p>t", now_ms=0)
    with pytest.raises((OSError, SMTPException)):
        await SmtpMailer(f"smtp://127.0.0.1:{port}").send(message)


async def test_past_its_bound_work_in_the_background_is_dropped():
    background, ran = Background(1), []

    async def work():
        ran.append(1)

    assert background.start("a", work())
    assert not background.start("b", work())
    await background.settled()
    assert ran == [1]
