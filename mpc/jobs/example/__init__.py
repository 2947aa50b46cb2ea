"""The example that ``jointfit init`` writes, also with one's own tables; see README.md for the source of its data."""

from mpc.jobs.example.writing import write_example

__all__ = ["write_example"]
