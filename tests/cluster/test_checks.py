"""The checks of the tree find what they are for."""

import json
import subprocess
from pathlib import Path

import pytest

from cluster.checks import code, dependencies, secrets
from cluster.checks.__main__ import main

AWS_KEY = "AKIA" + "QYLPMN5HFIQR7XYA"
PRIVATE = "-----BEGIN RSA " + "PRIVATE KEY-----"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with one module, one test and one example."""
    (tmp_path / "domain").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "domain" / "a.py").write_text("X = 1\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def add(tree: Path, name: str, text: str) -> None:
    (tree / name).write_text(text)
    subprocess.run(["git", "add", "."], cwd=tree, check=True)


def test_this_environment_is_the_one_that_the_lock_describes() -> None:
    assert main(["dependencies"]) == 0


def test_a_pin_below_its_floor_and_one_that_is_missing_are_found() -> None:
    lock = dependencies.pins("# pins\nhttpx==0.27.0\nRuff==0.17.1\nuvloop==0.23 ; sys_platform == 'nowhere'\n")
    assert lock == {"httpx": "0.27.0", "ruff": "0.17.1"}
    said = dependencies.below_floors(["httpx>=0.28", "ruff>=0.17", "redis[hiredis]>=8.1"], lock)
    assert said == [
        "requirements.lock has httpx 0.27.0, the project asks for httpx>=0.28",
        "requirements.lock has no redis: run `make lock`",
    ]
    with pytest.raises(ValueError, match="not a pinned version"):
        dependencies.pins("httpx>=0.28")


def test_what_is_installed_beside_the_lock_is_found() -> None:
    here = {"a": "1.0", "b": "3", "pip": "26", "sneaked-in": "1"}
    assert dependencies.other_versions({"a": "1.0", "b": "2", "c": "1"}, here) == [
        "b 3 is installed, the lock says 2",
        "c 1 is not installed",
        "sneaked-in is installed and not in the lock",
    ]


def test_risky_code_is_found_unless_a_reason_is_on_its_line(tree: Path) -> None:
    risky = "import subprocess\n\ndef run(word):\n    return subprocess.run(word, shell=True)%s\n"
    add(tree, "domain/risky.py", risky % "")
    assert [line for line in code.check(["domain"], tree) if "B602" in line]
    add(tree, "domain/risky.py", risky % "  # noqa: S602 - the operator's own words")
    assert code.check(["domain"], tree) == []


def test_secrets_in_tracked_files_are_found_until_they_are_taken_for_harmless(tree: Path) -> None:
    add(tree, "domain/keys.py", f'AWS = "{AWS_KEY}"\nPEM = "{PRIVATE}"\n')
    add(tree, "tests/test_a.py", f'PASSWORD = "umbrella walnut 7"\nKEY = "{AWS_KEY}"\n')
    (tree / "untracked.py").write_text(f'AWS = "{AWS_KEY}"\n')
    found = secrets.check(tree)
    assert [line.rpartition(":")[0] for line in found] == ["domain/keys.py:1", "domain/keys.py:2", "tests/test_a.py:2"]
    secrets.write(tree)
    assert AWS_KEY not in (tree / secrets.BASELINE).read_text()
    (tree / "untracked.py").unlink()
    add(tree, "domain/more.py", f'AWS = "{AWS_KEY[::-1]}"\nPEM = "{PRIVATE}"\n')
    assert [line.split(":")[0] for line in secrets.check(tree)] == ["domain/more.py"]


def test_outside_of_a_repository_nothing_is_claimed(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no git repository"):
        secrets.check(tmp_path)


def test_what_is_accepted_is_hashes(tmp_path: Path) -> None:
    baseline = json.loads((Path(__file__).parents[2] / secrets.BASELINE).read_text())
    assert all(set(each) == {"path", "kind", "hash"} and len(each["hash"]) == 40 for each in baseline)


def test_an_unknown_check_is_no_check() -> None:
    with pytest.raises(SystemExit):
        main(["nonsense"])
