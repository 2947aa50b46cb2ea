"""The job: one TOML file, the same for all, that says who computes what with whom, and what is opened to whom.

`read_job` reads it, `describe` says in plain words what it means, `job_schema` is its JSON Schema. parties/README.md
has the table of fields.
"""

from parties.job.describe import describe
from parties.job.model import Job
from parties.job.reading import parse_job, read_job
from parties.job.schema import job_schema
from parties.job.tables import Checkpoints, Column, Data, Limits, Member, Model, Protocol, Relay, Reveal

__all__ = [
    "Checkpoints",
    "Column",
    "Data",
    "Job",
    "Limits",
    "Member",
    "Model",
    "Protocol",
    "Relay",
    "Reveal",
    "describe",
    "job_schema",
    "parse_job",
    "read_job",
]
