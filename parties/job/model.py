"""A job: its tables, and the ranks that follow from them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PrivateAttr

from parties.errors import ConfigurationError
from parties.job.fields import Listed, Name
from parties.job.tables import Checkpoints, Data, Limits, Member, Model, Protocol, Relay, Reveal, Table

__all__ = ["Job"]


class Job(Table):
    """A job. `members` are in order of rank: computing parties, clients, the dealer; `parties` as the file has them."""

    format: Literal[1] = Field(description="The version of this format.", examples=[1])
    name: Name = Field(description="The job's name, for logs and folders.", examples=["breast-cancer"])
    protocol: Protocol = Field(default=Protocol(), description="How the parties compute.")
    limits: Limits = Field(default=Limits(), description="What a run may take.")
    checkpoints: Checkpoints = Field(default=Checkpoints(), description="When shares are written to disk.")
    relay: Relay | None = Field(default=None, description="For members without an address.")
    parties: Listed[tuple[Member, ...]] = Field(
        min_length=2, max_length=64, description="Who takes part; computing parties have ranks in this order."
    )
    data: Data = Field(description="What the owners bring.")
    model: Model = Field(description="What is trained.")
    reveals: Listed[tuple[Reveal, ...]] = Field(
        default=(), max_length=1000, description="The complete list of what is opened, and to whom."
    )

    _digest: bytes = PrivateAttr(default=b"")

    def model_post_init(self, context: Any, /) -> None:
        """Keep the digest that `reading` computed of the file."""
        self._digest = context["digest"] if context else b""

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the file's bytes, 32 bytes: ``sha256sum job.toml`` shows it."""
        if not self._digest:
            raise ConfigurationError("a job that was not read from a file has no digest; use read_job or parse_job")
        return self._digest

    @property
    def members(self) -> tuple[Member, ...]:
        """Everybody in order of rank: computing parties, clients, the dealer."""
        return tuple(sorted(self.parties, key=lambda member: (member.deals, not member.computes)))

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names in order of rank."""
        return tuple(member.name for member in self.members)

    @property
    def size(self) -> int:
        """How many ranks there are."""
        return len(self.parties)

    @property
    def computing(self) -> int:
        """How many computing parties there are: ranks 0 to computing - 1."""
        return sum(member.computes for member in self.parties)

    @property
    def clients(self) -> range:
        """The ranks that own data or receive results, and do not compute."""
        return range(self.computing, self.size - (self.dealer is not None))

    @property
    def dealer(self) -> int | None:
        """The dealer's rank, which is the last, or None."""
        return self.size - 1 if any(member.deals for member in self.parties) else None

    @property
    def owners(self) -> tuple[int, ...]:
        """The ranks that bring data."""
        return tuple(rank for rank, member in enumerate(self.members) if member.owns)

    @property
    def receivers(self) -> tuple[int, ...]:
        """The ranks to which results may be opened."""
        return tuple(rank for rank, member in enumerate(self.members) if member.receives)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The members whose fingerprint is still that of an example: zeros but for the last digits."""
        return tuple(member.name for member in self.members if member.fingerprint.startswith("sha256:" + "0" * 56))

    def rank(self, name: str) -> int:
        """The rank of a member. Raises ConfigurationError for a name that the job does not have."""
        if name not in self.names:
            want = ", ".join(self.names)
            raise ConfigurationError(f"the job {self.name!r} has no member {name!r}; want one of {want}")
        return self.names.index(name)

    def member(self, name: str) -> Member:
        """The member of a name."""
        return self.members[self.rank(name)]
