"""Profile: what bytes, rounds and seconds of a run are for. ``with mpc.profile() as p: ...``, then ``p.table()``."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from mpc import html
from mpc.profiling import current, files, tables, trace
from mpc.profiling.account import Account, between, event
from mpc.profiling.attaching import attach, detach
from mpc.profiling.files import make_folder
from mpc.profiling.rows import Row, check_fields, group, sort
from parties import ConfigurationError, DryParty
from protocols.recorder import Snapshot

if TYPE_CHECKING:
    from mpc.session import Session


class Moment(NamedTuple):
    """A line of the timeline.

    ``begin`` and ``end`` are seconds since the profile began; ``kind`` is "operation", "round" or "wait"; ``sent`` and
    ``received`` are bytes of a round, ``waiting`` seconds of it in which this rank waited.
    """

    begin: float
    end: float
    kind: str
    part: str
    module: str
    op: str
    step: str
    sent: int
    received: int
    waiting: float


def profile() -> Profile:
    """Account for what runs in a ``with`` block: inside a session, around one, or around `mpc.simulate`.

    Around, it has everything that the transport counts, the start of the session included. Inside, it has what is sent
    between its two ends. What was queued before and is sent inside counts for where it was made if another profile was
    on then, else for the program (part "other"); what is still queued at its end is not in it: call `Session.settle`
    before. Profiles may lie within each other. All ranks need not profile. Nothing is sent for it.

    Cost: a few percent of a step's time.

    >>> def program(session):
    ...     x = session.share(torch.ones(4, 2) if session.rank == 0 else None, owner=0)
    ...     model = session.share_module(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()))
    ...     return session.reveal(model(x))
    >>> with mpc.profile() as p:
    ...     _ = mpc.simulate(3, program)
    >>> for row in p.rows(by=("module",), part="forward"):
    ...     print(row.key, row.sent, row.rounds, row.correlations)
    ('1',) 144 4 850
    ('0',) 64 1 96
    ('(Sequential)',) 0 0 0
    """
    return Profile()


class Profile:
    """What bytes, messages, rounds, correlations and seconds of a run are for. Made by `mpc.profile`, or `load`.

    Security: holds public facts alone: names of modules and operations, sizes, times.
    """

    def __init__(self, accounts: Iterable[Account] = (), folder: Path | None = None) -> None:
        """``folder``: where it is written whenever a session ends."""
        self._accounts = list(accounts)
        self.folder = folder
        if folder is not None:
            make_folder(folder)
        self._open: dict[int, tuple[Session, Snapshot | None]] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        current.began(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        current.ended(self)

    # Sessions: called on their own threads --------------------------------------------------------------------------

    def begins(self, session: Session, *, whole: bool) -> None:
        """A session takes part from now on, ``whole`` from its own beginning on."""
        if self.folder is not None and isinstance(session.party, DryParty):
            return  # what ranks do is wanted there, not what they plan
        recorder = attach(session).recorder
        with self._lock:
            self._open[id(session)] = session, None if whole else recorder.snapshot()

    def ends(self, session: Session) -> None:
        """Not any more."""
        with self._lock:
            if id(session) not in self._open:
                return
            self._accounts.append(self._account(session))
            del self._open[id(session)]
            detach(session)
        if self.folder is not None:
            self.save(self.folder / f"rank-{session.rank}.json", session.rank)

    def _account(self, session: Session) -> Account:
        _, before = self._open[id(session)]
        profiler = session.account
        if profiler is None:
            raise RuntimeError("a session without account in a profile")
        facts = {
            "rank": session.rank,
            "size": session.size,
            "computing": session.computing,
            "role": session.role.value,
            "run": hashlib.sha256(session.party.session).hexdigest()[:32],
            "clock": profiler.clock,
        }
        return between(profiler.recorder, profiler.places, facts, before, profiler.recorder.snapshot())

    # What is in it --------------------------------------------------------------------------------------------------

    def accounts(self, rank: int | None = None) -> list[Account]:
        """Of one rank, by default the lowest computing one, for each session. Raises ConfigurationError if none."""
        with self._lock:
            opened = [session for session, _ in self._open.values()]
            known = {one.rank: one.computing for one in self._accounts}
            known |= {one.rank: one.computing for one in opened}
            if rank is None and known:
                rank = min(known, key=lambda one: (one >= known[one], one))
            if rank not in known:
                text = ", ".join(map(str, sorted(known))) or "none: no session was open"
                raise ConfigurationError(f"profile of rank {rank}; want one of {text}")
            now = [self._account(session) for session in opened if session.rank == rank]
            return [one for one in self._accounts if one.rank == rank] + now

    @property
    def ranks(self) -> list[int]:
        """The ranks that this process saw: its own, or those of a simulation."""
        with self._lock:
            return sorted({one.rank for one in self._accounts} | {one.rank for one, _ in self._open.values()})

    def rows(self, by: Sequence[str] = ("module",), rank: int | None = None, part: str | None = None) -> list[Row]:
        """The account grouped by some of "module", "part", "op", "step" and "phase", largest sender first.

        ``rank``: by default the lowest computing rank; ``part``: of this part alone, such as "backward".
        """
        fields = check_fields(by, part)
        return group(self.accounts(rank), fields, part)

    def total(self, rank: int | None = None) -> Row:
        """Everything in one row; equal to what the transport counts, `Session.counts`, byte for byte."""
        return next(iter(group(self.accounts(rank), ())), Row(()))

    def table(
        self,
        by: Sequence[str] = ("module", "part"),
        sort: str = "sent",
        limit: int | None = 20,
        rank: int | None = None,
        part: str | None = None,
        width: int | None = None,
    ) -> str:
        """The rows as text, in order of a column; ``limit`` None: all. ``width``: by default the terminal's."""
        rows = self._sorted(by, sort, rank, part)
        return tables.text(check_fields(by), rows, limit, self.total(rank), self._title(rank), width)

    def _sorted(self, by: Sequence[str], column: str, rank: int | None, part: str | None) -> list[Row]:
        return sort(self.rows(by, rank, part), column)

    def _title(self, rank: int | None) -> str:
        first = self.accounts(rank)[0]
        return f"rank {first.rank} of {first.size}, {tables.printable(first.role)}"

    def _repr_html_(self) -> str:
        """The table in a notebook: 30 rows by module and part."""
        if not self.ranks:
            return html.table([], [["profile", "no session was open"]])
        by = ("module", "part")
        heading, *rows = tables.lines(by, self.rows(by), 30, self.total())
        return html.table(heading, rows, self._title(None))

    def lines(self) -> list[str]:
        """A line for each rank."""
        return [f"{self._title(rank)}: {tables.line(self.total(rank))}" for rank in self.ranks]

    def __repr__(self) -> str:
        return f"Profile(ranks {', '.join(map(str, self.ranks)) or 'none'})"

    def timeline(self, rank: int | None = None) -> list[Moment]:
        """Operations, rounds and waits in order; bounded: of a long run the first 200,000 events."""
        found, accounts = [], self.accounts(rank)
        start = min(account.begin for account in accounts)
        for account in accounts:
            for line in account.events:
                one = event(line)
                if one.kind in {"operation", "round", "wait"}:
                    place, step = account.wheres[one.where]
                    begin, end = one.begin - start, one.end - start
                    places = account.places[place]
                    found.append(
                        Moment(begin, end, one.kind, *places, step, one.sent, one.received, one.waiting)
                    )
        return sorted(found)

    # Files ----------------------------------------------------------------------------------------------------------

    def save(self, path: str | Path, rank: int | None = None) -> None:
        """Write the account of one rank as JSON, by default of all that there are."""
        every = [one for each in self.ranks for one in self.accounts(each)]
        files.write(Path(path), every if rank is None else self.accounts(rank))

    @classmethod
    def load(cls, *paths: str | Path) -> Profile:
        """Read what `save` wrote, of several ranks of one run, say; see `mpc.profiling.files.read`."""
        return cls(files.read([Path(path) for path in paths]))

    def write_trace(self, path: str | Path) -> None:
        """Write the timeline of all ranks as Chrome's trace events, to be opened in ui.perfetto.dev."""
        trace.write(Path(path), [one for each in self.ranks for one in self.accounts(each)])
