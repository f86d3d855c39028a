"""The page on privacy says of each noun and each rule what the code does."""

from jobs.tasks import KINDS_OF_JOBS
from services.privacy.retention_rules import KEPT, RULES
from storage.privacy.registry import REGISTRY, Ground
from tests.docs.pages import page, rows, section


def test_every_noun_is_documented_with_its_fate_and_ground() -> None:
    documented = rows(section("docs/privacy.md", "## What is held of a person"))
    assert documented == {
        entry.noun: [
            f"`{entry.table}`",
            entry.what,
            "yes" if entry.exported else "no",
            entry.fate.value,
            f"`{entry.ground.value}`" if entry.ground else "",
        ]
        for entry in REGISTRY
    }


def test_every_ground_is_documented() -> None:
    assert set(rows(section("docs/privacy.md", "## Erasure"))) == {ground.value for ground in Ground if ground}


def test_every_rule_of_retention_is_documented_with_its_days() -> None:
    text = section("docs/privacy.md", "## Retention")
    assert rows(text) == {rule.name: [f"{rule.days:,}", rule.what] for rule in RULES}
    assert all(f"- `{name}`: {why}." in text for name, why in KEPT.items())


def test_every_kind_of_job_is_documented() -> None:
    assert set(rows(page("docs/jobs.md"))) >= set(KINDS_OF_JOBS)
