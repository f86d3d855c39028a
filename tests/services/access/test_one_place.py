"""Nothing but `actors/parties.py` judges an actor, and no permission is a dead row."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.access.policy import RULES, Permission

ROOT = Path(__file__).parents[3]
FLOORS = ("domain", "storage", "actors", "services", "realtime", "jobs", "serve", "cluster")
THE_PLACE = Path("actors/parties.py")
RIGHTS = {"roles", "organizations"}


def _asks(tree: ast.AST) -> Iterator[int]:
    """Lines that compare something with what an actor is, or look into it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            equals = any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
            if (equals and any(_is_of_actor(side, {"subject"}) for side in sides)) or (
                not equals and any(_is_of_actor(side, RIGHTS) for side in node.comparators)
            ):
                yield node.lineno
        elif isinstance(node, ast.comprehension) and _is_of_actor(node.iter, {"roles"}):
            yield node.iter.lineno


def _is_of_actor(node: ast.AST, names: set[str]) -> bool:
    if not (isinstance(node, ast.Attribute) and node.attr in names):
        return False
    owner = node.value
    return (isinstance(owner, ast.Name) and owner.id == "actor") or (
        isinstance(owner, ast.Attribute) and owner.attr == "actor"
    )


@pytest.mark.parametrize("floor", FLOORS)
def test_only_one_module_judges_an_actor(floor: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / floor).rglob("*.py"))
        if path.relative_to(ROOT) != THE_PLACE
        for line in _asks(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == [], "ask services.access.check or actors.parties instead"


def test_every_permission_is_asked_for_somewhere() -> None:
    table = Path("services/access/policy.py")
    asked = {
        node.attr
        for floor in FLOORS
        for path in (ROOT / floor).rglob("*.py")
        if path.relative_to(ROOT) != table
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Permission"
    }
    assert asked == {permission.name for permission in Permission}
    assert set(RULES) == set(Permission)


@pytest.mark.parametrize(
    "source",
    [
        "if 'admin' in actor.roles: pass",
        "if organization_id not in call.actor.organizations: pass",
        "if ctx.actor.subject != state.owner: pass",
        "any(role == 'admin' for role in actor.roles)",
    ],
)
def test_the_test_would_find_it(source: str) -> None:
    assert list(_asks(ast.parse(source)))
