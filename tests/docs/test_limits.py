"""Every limit is in the documentation, with the default that the code has."""

import msgspec
import pytest

from actors.runtime.limits import DEFAULTS as RUNTIME
from realtime.client.limits import DEFAULTS as CLIENT
from realtime.limits import DEFAULTS as REALTIME
from serve.limits import DEFAULTS as GATEWAY
from services.accounts.key_limits import DEFAULTS as KEYS
from services.accounts.limits import DEFAULTS as ACCOUNTS
from services.jobs.limits import DEFAULTS as JOBS
from services.privacy.limits import DEFAULTS as PRIVACY
from tests.docs.pages import rows, section

PLACES = {
    "docs/runtime.md": RUNTIME,
    "docs/protocol.md": REALTIME,
    "docs/api.md": GATEWAY,
    "docs/accounts.md": ACCOUNTS,
    "docs/api-keys.md": KEYS,
    "docs/devices.md": CLIENT,
    "docs/jobs.md": JOBS,
    "docs/privacy.md": PRIVACY,
}


@pytest.mark.parametrize(("name", "limits"), PLACES.items(), ids=PLACES)
def test_every_limit_is_documented_with_its_default(name: str, limits: msgspec.Struct) -> None:
    documented = {limit: cells[0].replace(",", "") for limit, cells in rows(section(name, "## Limits")).items()}
    in_code = {limit: f"{value:.12g}" for limit, value in msgspec.structs.asdict(limits).items()}
    assert documented == in_code, f"{name} and the code differ"
