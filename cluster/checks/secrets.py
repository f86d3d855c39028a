"""detect-secrets over all tracked files: keys, tokens and passwords that somebody left in one.

Findings that are none (examples in the API's document, placeholders) are in `.secrets.baseline` as hashes. In tests,
whose passwords protect nothing, only things of a certain form count: private keys, cloud keys, tokens of services.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cluster.checks.running import ROOT, run, tracked_files

BASELINE: Final = ".secrets.baseline"
_FORMLESS: Final = ("Base64HighEntropyString", "HexHighEntropyString", "KeywordDetector", "BasicAuthDetector")
_TEST_TREES: Final = ("tests/", "loadtests/")
_SKIPPED: Final = frozenset({"requirements.lock", BASELINE})

Finding = tuple[str, str, str]
"""Path, kind, hash of the secret."""


def check(root: Path = ROOT) -> list[str]:
    """One line for each finding that is not in the baseline. Raises `RuntimeError`, `OSError`."""
    known = _known(root / BASELINE)
    return [
        f"{path}:{line}: {kind}"
        for (path, kind, hashed), line in sorted(scan(root).items())
        if (path, kind, hashed) not in known
    ]


def write(root: Path = ROOT) -> int:
    """Take all findings of now for harmless; how many."""
    found = scan(root)
    kept = [{"path": path, "kind": kind, "hash": hashed} for path, kind, hashed in sorted(found)]
    (root / BASELINE).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return len(found)


def scan(root: Path) -> dict[Finding, int]:
    """Line by finding."""
    names = [name for name in tracked_files(root) if name not in _SKIPPED]
    tests = [name for name in names if name.startswith(_TEST_TREES)]
    product = [name for name in names if not name.startswith(_TEST_TREES)]
    without = [word for plugin in _FORMLESS for word in ("--disable-plugin", plugin)]
    return {**_scan(root, product, ()), **_scan(root, tests, without)}


def _scan(root: Path, names: Sequence[str], options: Sequence[str]) -> dict[Finding, int]:
    if not names:
        return {}
    program = "from detect_secrets.main import main; import sys; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "scan", "--no-verify", *options, *names]
    done = run(command, root)
    try:
        results: Mapping[str, list[dict[str, Any]]] = json.loads(done.stdout)["results"]
    except (ValueError, KeyError):
        raise RuntimeError(f"detect-secrets did not run: {done.stderr.strip()[-500:]}") from None
    return {
        (path, each["type"], each["hashed_secret"]): each["line_number"]
        for path, found in results.items()
        for each in found
    }


def _known(path: Path) -> set[Finding]:
    if not path.exists():
        return set()
    return {(each["path"], each["kind"], each["hash"]) for each in json.loads(path.read_text(encoding="utf-8"))}
