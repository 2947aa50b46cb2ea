"""A job in plain words: what somebody signs who answers for an institution's data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from parties.needs import needs_of
from parties.topology import links

if TYPE_CHECKING:
    from parties.job.model import Job
    from parties.job.tables import Column, Member, Reveal

__all__ = ["describe"]


def describe(job: Job) -> str:
    """Who takes part, how they are linked, what is computed from what, what each learns, the limits: some 40 lines."""
    parts = [
        ("Who takes part", _members(job)),
        ("Who connects to whom", _links(job)),
        ("What goes in", _data(job)),
        ("What is computed", _model(job)),
        ("What each member learns, and nothing else", _learns(job)),
        ("Limits", _limits(job)),
    ]
    head = f"Job {job.name}, SHA-256 {job.digest.hex()}"
    return "\n\n".join([head, *("\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in parts)]) + "\n"


def _members(job: Job) -> Iterator[str]:
    for rank, member in enumerate(job.members):
        yield f"{member.name} (rank {rank}) {_and(_does(member))}."
        yield f"    certificate {member.fingerprint}"
    if job.placeholders:
        yield f"The certificates of {_and(job.placeholders)} are placeholders: this job can be rehearsed, not run."


def _does(member: Member) -> list[str]:
    if member.deals:
        return ["is the dealer: it sends random numbers to the computing parties, and gets neither data nor shares"]
    does = []
    if member.owns:
        how = "" if member.computes else ", of which it sends one random share to each computing party"
        does.append(f"brings data{how}")
    if member.computes:
        does.append("computes on shares")
    if member.receives:
        does.append("receives results")
    return does


def _links(job: Job) -> Iterator[str]:
    graph = links(job)
    for member in job.members:
        direct = [to for _, to, through in graph.out_edges(member.name, data="relay") if not through]
        if direct:
            yield f"{member.name} dials {_and([f'{to} ({job.member(to).address})' for to in direct])}."
    for source, target, through in graph.edges(data="relay"):
        if through:
            yield f"{source} and {target} meet at the relay ({through}), which sees sizes and times of encrypted bytes."
    yield "All links are TLS 1.3; both ends check each other's certificate against the fingerprints above."


def _data(job: Job) -> Iterator[str]:
    owners = [job.names[rank] for rank in job.owners]
    if job.data.split == "rows":
        bring = "brings" if len(owners) == 1 else "each bring"
        yield f"{_and(owners)} {bring} a table of rows with these {len(job.data.columns)} columns:"
    else:
        yield f"{_and(owners)} bring columns of one table, whose rows are in the same order with all:"
    for column in job.data.columns:
        yield f"  {_column(column)}" + (f", from {_and(column.owners)}" if column.owners else "")
    yield f'The column "{job.data.label}" is what the model learns to predict.'
    yield "No entry of a table leaves its owner but in random shares. All see how many rows each table has."


def _column(column: Column) -> str:
    if column.categories:
        return f'"{column.name}": one of {", ".join(column.categories)}'
    bounds = f"{column.lowest:g} to {column.highest:g}"
    log = ", as log(1 + x)" if column.log else ""
    origin = f", less {column.origin:g}" if column.origin else ""
    units = f", in units of {column.unit:g}" if column.unit != 1 else ""
    return f'"{column.name}": numbers, {bounds}{log}{origin}{units}'


def _model(job: Job) -> Iterator[str]:
    settings = ", ".join(f"{key} = {value}" for key, value in job.model.parameters.items()) or "none"
    if job.model.program is None:
        yield f"The estimator {job.model.estimator} of jointfit is trained."
    else:
        yield f"The program {job.model.program} runs, whose SHA-256 is {job.model.sha256}."
    yield f"Settings, known to all: {settings}."
    protocol = job.protocol
    yield f"The protocol is {protocol.name}, with {protocol.bits} fraction bits and rounding = {protocol.rounding}."


def _learns(job: Job) -> Iterator[str]:
    for member in job.members:
        told = [_revealed(reveal) for reveal in job.reveals if member.name in reveal.to]
        yield f"{member.name}: {', '.join(told) or 'nothing'}"
    yield "All learn what this file says, numbers of rows, and how long the run takes. What is opened can itself say"
    yield "something about the rows that it was computed from."
    yield from _holds(job)


def _holds(job: Job) -> Iterator[str]:
    """What all that stands on."""
    trust, name = needs_of(job.protocol.name).trust, job.protocol.name
    if not trust:
        yield f"This holds as far as the protocol {name} keeps secrets, which the program brings."
        return
    yield f"This holds if {trust}{'.' if job.dealer is None else ','}"
    if job.dealer is not None:
        yield "and the dealer deals as it should and helps nobody to learn more."


def _revealed(reveal: Reveal) -> str:
    often = "once" if reveal.times == 1 else f"at most {reveal.times} times"
    if reveal.shape is None:
        return f"{reveal.what} ({often})"
    return f"{reveal.what} ({often}, {' × '.join(str(size) for size in reveal.shape) or 'one number'})"


def _limits(job: Job) -> Iterator[str]:
    limits, every = job.limits, job.checkpoints.every
    yield f"The run ends after {limits.seconds:g} s at the latest."
    yield f"It ends before a party has sent more than {limits.bytes:,} bytes."
    yield f"Everybody is there within {limits.connect:g} s; no message takes longer than {limits.deadline:g} s."
    if limits.breaks:
        yield f"A link may be gone for {limits.breaks:g} s; after that the run ends with an error everywhere."
    else:
        yield "A link that breaks ends the run with an error everywhere."
    if every:
        yield f"Every {every} steps each computing party writes its shares to its disk, encrypted under its own key."
    else:
        yield "No shares are written to disk."


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
