"""A login in a browser's cookies: given, renewed and ended. The page itself never sees a token."""

import msgspec

from domain.errors import Unauthenticated, invalid_field
from serve.auth.shown import ShownUser, user_shown
from serve.platform.call import Answer, Call, json_answer
from serve.platform.cookies import REFRESH, check_csrf, check_origin, clear_cookies, cookie, set_access, set_cookies
from services.accounts.accounts import Accounts
from services.accounts.logins import Opened


class ShownCookieLogin(msgspec.Struct):
    csrf_token: str
    expires_in: int
    subject: str
    roles: tuple[str, ...]
    organizations: tuple[str, ...]
    session_id: str
    user: ShownUser


def check_page(call: Call) -> None:
    """Before a login is put into cookies: another site must not log its visitors in as somebody else.

    Raises `Forbidden` (`csrf_failed`).
    """
    check_origin(call.runtime.browsers, call.fields)


def cookie_answer(call: Call, accounts: Accounts, opened: Opened) -> Answer:
    """The login's tokens in cookies, and what its page has to know."""
    login_id = "" if opened.login is None else opened.login.id
    csrf, seconds = call.runtime.tokens.csrf.of(login_id), call.runtime.tokens.access_ttl_seconds
    document = ShownCookieLogin(
        csrf, seconds, opened.user.id, opened.grant.roles, opened.grant.organizations, login_id, user_shown(opened.user)
    )
    refresh_seconds = accounts.limits.refresh_ttl_seconds
    cookies = set_cookies(opened.access_token, seconds, opened.refresh_token, refresh_seconds, csrf)
    return json_answer(document, headers=cookies)


def renewed(answer: Answer, call: Call, opened: Opened) -> Answer:
    """With the access token of a reauthentication in the browser's cookie."""
    seconds = call.runtime.tokens.access_ttl_seconds
    answer.headers = [*answer.headers, set_access(opened.access_token, seconds)]
    return answer


def cleared(answer: Answer) -> Answer:
    answer.headers = [*answer.headers, *clear_cookies()]
    return answer


async def refresh_token_of(call: Call, accounts: Accounts, given: str | None, *, by_cookie: bool) -> str:
    """The refresh token that the body has, or else the cookie of a page that may use it.

    Raises `Invalid`, `Unauthenticated` (`refresh_token_invalid`), `Forbidden` (`csrf_failed`).
    """
    if given is not None:
        return given
    if not by_cookie:
        raise invalid_field("refresh_token", "required", "A refresh token, or `cookie`: true for that of a cookie.")
    token = cookie(call.fields, REFRESH)
    login_id = await accounts.logins.login_id(token) if token else ""
    if not login_id:
        check_page(call)
        raise Unauthenticated("There is no login in a cookie: log in.", code="refresh_token_invalid")
    check_csrf(call.runtime.tokens.csrf, call.runtime.browsers, call.fields, login_id)
    return token
