"""Checks of the tree itself, as part of `make check`: code that invites attacks, dependencies, secrets in files."""
