"""Logins by other providers: limits are documented as they are, and the example of a setting is one."""

import msgspec

from services.oidc.limits import DEFAULTS
from storage.oidc_providers import providers_of
from tests.docs.pages import blocks, rows, section

SECTION = section("docs/accounts.md", "## Other providers")


def test_every_limit_is_documented_with_its_default() -> None:
    documented = {name: cells[0] for name, cells in rows(SECTION).items()}
    assert documented == {name: f"{value:,}" for name, value in msgspec.structs.asdict(DEFAULTS).items()}


def test_the_example_of_the_setting_holds() -> None:
    (example,) = blocks(SECTION, "json")
    (provider,) = providers_of(example)
    assert provider.name == "example"
