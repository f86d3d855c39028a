"""The page of settings is what the command writes."""

from cluster.commands.settings import markdown_page
from tests.docs.pages import page


def test_the_page_of_settings_is_up_to_date() -> None:
    assert page("docs/settings.md") == markdown_page(), "run `atrium settings --markdown > docs/settings.md`"
