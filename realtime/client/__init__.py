"""A client of `atrium.v1` for Python: what the demo, the drills and the tests use, and an example for devices."""
