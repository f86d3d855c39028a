"""The page for those who write a tablet says what the client does."""

import re

from realtime.client.predictors import PREDICTORS
from tests.docs.pages import section

PAGE = "docs/devices.md"


def test_the_example_is_python() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", section(PAGE, "## With the Python client"), re.DOTALL)
    compile(example, PAGE, "exec")


def test_every_prediction_is_on_the_page_and_nothing_else() -> None:
    told = {
        (kind, op)
        for kind, ops in re.findall(r"^\| `(\w+)` \| (.*) \|$", section(PAGE, "## What is on the screen"), re.MULTILINE)
        for op in re.findall(r"`(\w+)`", ops)
        if op != "claim_intent"
    }
    assert told == set(PREDICTORS)
