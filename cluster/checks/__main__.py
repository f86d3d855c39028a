"""`python -m cluster.checks [NAME …]`: all by default; exit code 1 when one finds something.

`--accept` takes the secrets that are found for harmless.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Final

from cluster.checks import code, dependencies, secrets

CHECKS: Final[dict[str, Callable[[], list[str]]]] = {
    "code": code.check,
    "dependencies": dependencies.check,
    "secrets": secrets.check,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cluster.checks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(CHECKS)}")
    parser.add_argument("--accept", action="store_true", help=f"write the secrets that are found to {secrets.BASELINE}")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - CHECKS.keys():
        parser.error(f"no check {', '.join(sorted(unknown))}")
    if options.accept:
        print(f"{secrets.BASELINE}: {secrets.write()} findings")
        return 0
    failed = False
    for name in options.names or CHECKS:
        findings = CHECKS[name]()
        failed = failed or bool(findings)
        print(f"{name}: {'ok' if not findings else f'{len(findings)} findings'}")
        for finding in findings:
            print(f"  {finding}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
