"""The job file."""

from __future__ import annotations

from importlib.resources import files

from parties.errors import ConfigurationError
from parties.job import describe, parse_job
from parties.topology import links
from tests.fuzz.harness import Harness


def _job(data: bytes) -> None:
    job = parse_job(data)
    assert sorted(job.names) == sorted(member.name for member in job.parties)
    assert set(links(job)) >= set(job.names)
    assert len(describe(job)) > 100


def _jobs() -> list[bytes]:
    example = files("mpc.jobs.example").joinpath("job.toml").read_bytes()
    bare = b"\n".join(line.split(b"  #")[0] for line in example.splitlines() if line and not line.startswith(b"#"))
    by_columns = bare.replace(b'split = "rows"', b'split = "columns"').replace(
        b"highest = 1 }", b'highest = 1, owners = ["hospital_a"] }'
    )
    relayed = bare.replace(b"[[parties]]", b'[relay]\naddress = "relay.example.org:7400"\n[[parties]]', 1)
    moved = bare.replace(b"highest = 1 }", b"highest = 1, origin = 0.5 }")
    return [bare, relayed, by_columns, moved]


HARNESSES = (
    Harness(
        "job",
        _job,
        _jobs,
        (ConfigurationError,),
        (b"[[parties]]\n", b'"""', b"'''", b"{ name = ", b"1979-05-27", b"0x7f", b'roles = ["dealer"]\n', b"\\u0000"),
        share=0.6,
    ),
)
