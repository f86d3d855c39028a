"""Loads of tablets: `python -m loadtests.tablets`, run apart from what it measures."""
