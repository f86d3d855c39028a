"""For routes that only somebody may use who has proved a moment ago that it is them."""

from serve.auth.routes import accounts_of
from serve.platform.call import Call
from services.accounts.accounts import Accounts


async def stepped_up(call: Call) -> Accounts:
    """The accounts of this gateway, for a caller whose access token is of a login, or a reauthentication, just now.

    Raises `Forbidden` with code `reauthentication_required`.
    """
    accounts = accounts_of(call)
    await accounts.step_up.check(call.verified)
    return accounts
