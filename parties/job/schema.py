"""The JSON Schema of job files: editors complete and check with it as one types."""

from __future__ import annotations

from typing import Any

from parties.job.model import Job

__all__ = ["job_schema"]


def job_schema() -> dict[str, Any]:
    """The schema, with descriptions and examples. What must hold across fields is beyond it; `read_job` checks that."""
    schema = Job.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "jointfit job",
        "description": "Who computes what with whom, and what is opened to whom.",
        **{key: value for key, value in schema.items() if key not in ("title", "description")},
    }
