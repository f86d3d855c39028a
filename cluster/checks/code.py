"""Bandit over the product's code. What ruff's `S` rules allow with a reason on its line is allowed."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from cluster.checks.running import ROOT, run_module

PACKAGES: Final = ("domain", "storage", "actors", "services", "realtime", "jobs", "serve", "cluster")


def check(packages: Sequence[str] = PACKAGES, root: Path = ROOT) -> list[str]:
    """One line for each finding without a reason. Raises `RuntimeError` when bandit did not run."""
    done = run_module("bandit", ["-q", "-c", str(ROOT / "pyproject.toml"), "-f", "json", "-r", *packages], root)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"bandit did not run: {done.stderr.strip()[-500:]}") from None
    failed = [f"{each['filename']}: {each['reason']}" for each in found["errors"]]
    return failed + list(_without_reason(found["results"], root))


def _without_reason(results: Sequence[dict[str, Any]], root: Path) -> Iterator[str]:
    for each in results:
        lines = (root / each["filename"]).read_text(encoding="utf-8").splitlines()
        said = "\n".join(lines[min(each["line_range"]) - 1 : max(each["line_range"])])
        if not re.search(rf"noqa:[^#\n]*\bS{each['test_id'][1:]}\b", said):
            yield f"{each['filename']}:{each['line_number']}: {each['test_id']} {each['issue_text']}"
