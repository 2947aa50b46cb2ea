"""The tables of a job file: what each field is, and what it may be. Checks across fields are in `checks`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from parties.job.fields import (
    Address,
    Bound,
    ColumnName,
    Digest,
    Fingerprint,
    Listed,
    Name,
    Parameter,
    ParameterName,
    ProgramPath,
    RevealName,
    Role,
    Text,
)
from parties.roles import parse_address

__all__ = ["Checkpoints", "Column", "Data", "Limits", "Member", "Model", "Protocol", "Relay", "Reveal", "Table"]

_DAY = 86_400.0


def _unbounded(schema: dict[str, Any]) -> None:
    schema.pop("default", None)  # infinity, which JSON cannot say


class Table(BaseModel):
    """A table of the file: no other fields, no conversions, never changed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Protocol(Table):
    """How the computing parties compute on shares."""

    name: Name = Field(
        default="additive",
        description="The protocol, which says whom one trusts: additive (two or more computing parties and a dealer), "
        "replicated (exactly three and no dealer), authenticated (two or more and a dealer; parties may cheat), "
        "verified (exactly three and no dealer; one may cheat), or one that the program of the job registers.",
        examples=["additive", "replicated"],
    )
    bits: int = Field(default=20, ge=8, le=24, description="Fraction bits of shared numbers.", examples=[20])
    rounding: Literal["chance", "faithful"] = Field(
        default="chance",
        description="How products lose surplus fraction bits: chance is cheaper, faithful is equal in every run.",
        examples=["chance"],
    )


class Limits(Table):
    """What one run may take at most; a run that goes beyond ends with an error on every party."""

    seconds: float = Field(
        default=3600.0, gt=0, le=30 * _DAY, description="Seconds that the whole run may take.", examples=[3600]
    )
    bytes: int = Field(
        default=10_000_000_000,
        gt=0,
        le=10**15,
        description="Bytes that one party may send in the whole run.",
        examples=[10_000_000_000],
    )
    deadline: float = Field(
        default=120.0,
        gt=0,
        le=3600,
        description="Seconds that a party waits for one message of a peer, longer than breaks are.",
        examples=[120],
    )
    connect: float = Field(
        default=300.0,
        gt=0,
        le=_DAY,
        description="Seconds that a party waits at the start until all are there.",
        examples=[300],
    )
    breaks: float = Field(
        default=30.0,
        ge=0,
        le=600,
        description="Seconds that a broken link may take to come back; 0: a broken link ends the run.",
        examples=[30],
    )


class Checkpoints(Table):
    """When a party writes its encrypted shares to its disk, from which a run can be resumed."""

    every: int = Field(default=50, ge=0, le=10**9, description="Steps between two checkpoints; 0: none.", examples=[50])


class Relay(Table):
    """A machine that passes encrypted bytes on between members that have no address; it sees sizes and times only."""

    address: Address = Field(description="Where every member reaches the relay.", examples=["relay.example.org:7400"])

    @property
    def endpoint(self) -> tuple[str, int]:
        """Host and port."""
        return parse_address(self.address)


class Member(Table):
    """One institution, and what it does in the job."""

    name: Name = Field(
        description="A short name, which the rest of the job and the commands use.", examples=["hospital_a"]
    )
    roles: Listed[tuple[Role, ...]] = Field(
        min_length=1,
        max_length=3,
        description="owner: brings data; computing: holds shares and computes; receiver: may learn results; dealer: "
        "sends correlated random numbers to the computing parties and has no other role.",
        examples=[["owner", "computing", "receiver"], ["dealer"]],
    )
    address: Address | None = Field(
        default=None,
        description="Where the others reach this member; without it the member only dials out.",
        examples=["hospital-a.example.org:7401"],
    )
    fingerprint: Fingerprint = Field(
        description="Of the member's certificate, as jointfit keygen prints it; compare it by telephone.",
        examples=["sha256:" + "3f" * 32],
    )

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """Host and port, or None."""
        return None if self.address is None else parse_address(self.address)

    @property
    def computes(self) -> bool:
        """Whether it holds shares."""
        return "computing" in self.roles

    @property
    def owns(self) -> bool:
        """Whether it brings data."""
        return "owner" in self.roles

    @property
    def receives(self) -> bool:
        """Whether results may be opened to it."""
        return "receiver" in self.roles

    @property
    def deals(self) -> bool:
        """Whether it is the dealer."""
        return "dealer" in self.roles


class Column(Table):
    """A column of the owners' tables, and how its entries become numbers."""

    name: ColumnName = Field(description="The heading in the owners' tables.", examples=["mean radius"])
    origin: float = Field(
        default=0.0,
        allow_inf_nan=False,
        description="A public constant that is subtracted from numbers, such as the middle of their range.",
        examples=[50.0],
    )
    unit: float = Field(
        default=1.0,
        gt=0,
        allow_inf_nan=False,
        description="A public constant by which numbers are divided, less the origin.",
        examples=[10.0],
    )
    lowest: Bound = Field(
        default=float("-inf"), description="The smallest number allowed.", examples=[0.0], json_schema_extra=_unbounded
    )
    highest: Bound = Field(
        default=float("inf"), description="The largest number allowed.", examples=[60.0], json_schema_extra=_unbounded
    )
    log: bool = Field(default=False, description="Whether log(1 + x) is taken first.", examples=[False])
    categories: Listed[tuple[Text, ...]] = Field(
        default=(),
        max_length=1000,
        description="The texts that the column may hold; each becomes a column of 0 and 1. Without: numbers.",
        examples=[["yes", "no", "unknown"]],
    )
    owners: Listed[tuple[Name, ...]] = Field(
        default=(),
        max_length=64,
        description='The one member that brings the column; only with split = "columns".',
        examples=[["hospital_a"]],
    )


class Data(Table):
    """What the owners bring."""

    split: Literal["rows", "columns"] = Field(
        description="rows: every owner brings some rows of all columns; columns: some columns of all rows.",
        examples=["rows"],
    )
    label: ColumnName = Field(
        description="The column that the model learns to predict; one of the columns.", examples=["malignant"]
    )
    columns: Listed[tuple[Column, ...]] = Field(
        min_length=2, max_length=10_000, description="All columns, the label among them."
    )

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns but the label, in order."""
        return tuple(column for column in self.columns if column.name != self.label)

    @property
    def target(self) -> Column:
        """The column of the label."""
        return next(column for column in self.columns if column.name == self.label)


class Model(Table):
    """What is trained: an estimator of jointfit by name, or a program."""

    estimator: ParameterName | None = Field(
        default=None,
        description="The name of one of mpc.estimators; either this or program.",
        examples=["LogisticRegression"],
    )
    program: ProgramPath | None = Field(
        default=None,
        description="A Python program beside the job file; either this or estimator.",
        examples=["train.py"],
    )
    sha256: Digest | None = Field(
        default=None, description="The program's SHA-256, as sha256sum prints it.", examples=["9b" * 32]
    )
    parameters: dict[ParameterName, Parameter] = Field(
        default_factory=dict,
        max_length=1000,
        description="Settings of the estimator or of the program.",
        examples=[{"epochs": 20, "batch": 64}],
    )


class Reveal(Table):
    """One value that may be opened. What no [[reveals]] names is never opened to anybody."""

    what: RevealName = Field(
        description="The value's name: an estimator's model, loss, score, predictions or probabilities; "
        "a program's own.",
        examples=["model"],
    )
    to: Listed[tuple[Name, ...]] = Field(
        min_length=1,
        max_length=64,
        description="The members that learn it; each has the role receiver.",
        examples=[["hospital_a"]],
    )
    times: int = Field(default=1, ge=1, le=10**9, description="How often it may be opened in one run.", examples=[1])
    shape: Listed[tuple[int, ...]] | None = Field(
        default=None,
        max_length=8,
        description="The sizes of the opened tensor; without it any.",
        examples=[[1], [30, 1]],
    )
