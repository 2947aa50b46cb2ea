"""Count rows: in the planner, or on every rank of a real session; ranks leave their figures in a folder."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

import mpc
from experiments.counts.rows import ROWS, Work
from mpc.tensor import SharedTensor
from parties import DryParty
from parties.launch import run_local
from parties.needs import DEFAULT, NEEDS
from protocols.base import Cost
from protocols.correlations.dealer import CHECK

Figures = dict[str, Cost]


def finish(session: mpc.Session, tensors: Sequence[Tensor], rescaled: bool) -> None:
    """Run rounds until the tensors are there, with no more than the session's fraction bits if ``rescaled``."""
    shares = [one.protocol_share for one in tensors if isinstance(one, SharedTensor) and one.is_secret]
    most = session.encoding.bits
    if rescaled:
        shares = [session.protocol.rescale(one, most) if one.bits > most else one for one in shares]
    session.protocol.settle(*shares)


def cost(session: mpc.Session, work: Work, *, rescaled: bool) -> Cost:
    """Run work to its end and return what this rank (a planner: the busiest) sent for it.

    ``offline`` is what the transport sent on the dealer, less the digest of 8 bytes that ends each of its messages, and
    what the protocol asked for on the others.
    """
    _send_all(session)
    before, asked, sent = session.counts.snapshot(), session.protocol.offline_bytes, _planned_bytes(session)
    finish(session, work(), rescaled)
    _send_all(session)
    spent, asked = session.counts - before, session.protocol.offline_bytes - asked
    online, dealt = spent.total("online"), spent.total("offline")
    offline = dealt.bytes_sent - CHECK * dealt.messages if session.is_dealer else asked
    busiest = max(map(int.__sub__, _planned_bytes(session), sent), default=online.bytes_sent)
    return Cost(busiest, online.rounds, offline)


def _send_all(session: mpc.Session) -> None:
    """A dealer gathers what it sends: let it go."""
    if session.party.before_waiting is not None:
        session.party.before_waiting()


def _planned_bytes(session: mpc.Session) -> list[int]:
    """What each computing party sent so far, in a planner; nothing elsewhere."""
    return list(session.party.sent) if isinstance(session.party, DryParty) else []


def count(session: mpc.Session, names: Sequence[str]) -> Figures:
    """Run rows one after the other and return what this rank sent for each, inputs left out."""
    figures = {}
    for name in names:
        row = ROWS[name]
        work = row.prepare(session)
        session.same(session.step(name))
        figures[name] = cost(session, work, rescaled=row.rescaled)
    return figures


def ranks_of(parties: int, protocol: str) -> int:
    """Computing parties, and the dealer if the protocol has one."""
    return parties + NEEDS[protocol].dealer


def planned(parties: int, names: Sequence[str], protocol: str = DEFAULT) -> Figures:
    """What the planner says of the busiest computing party."""
    found: list[Figures] = []
    ranks = ranks_of(parties, protocol)
    mpc.plan(lambda session: found.append(count(session, names)), ranks, protocol=protocol)
    return found[0]


def gathered(ranks: Sequence[Figures], parties: int) -> Figures:
    """One figure a row: bytes and rounds of the busiest computing party, offline bytes of the dealer, the last rank."""
    computing = ranks[:parties]
    return {
        name: Cost(max(one[name].bytes for one in computing), max(one[name].rounds for one in computing), given.offline)
        for name, given in ranks[-1].items()
    }


def simulated(parties: int, names: Sequence[str], protocol: str = DEFAULT) -> Figures:
    """Count among threads."""
    ranks = ranks_of(parties, protocol)
    return gathered(mpc.simulate(ranks, lambda session: count(session, names), protocol=protocol), parties)


def counted(parties: int, names: Sequence[str], protocol: str = DEFAULT) -> Figures:
    """Count among processes that are connected over TLS. Raises RuntimeError if they fail."""
    ranks = ranks_of(parties, protocol)
    with tempfile.TemporaryDirectory(prefix="jointfit-counts-") as folder:
        command = [sys.executable, "-m", "experiments.counts.measure", protocol, folder, *names]
        code = run_local(command, ranks, dealer=NEEDS[protocol].dealer)
        if code:
            raise RuntimeError(f"the ranks ended with exit code {code}; want 0")
        files = [Path(folder) / f"{rank}.json" for rank in range(ranks)]
        found = [{name: Cost(*one) for name, one in json.loads(p.read_text()).items()} for p in files]
        return gathered(found, parties)


def rank_main(protocol: str, folder: str, *names: str) -> None:
    """What every process of `counted` runs."""
    with mpc.session(protocol) as session:
        figures = count(session, names)
        rank = session.rank
    plain = {name: [one.bytes, one.rounds, one.offline] for name, one in figures.items()}
    (Path(folder) / f"{rank}.json").write_text(json.dumps(plain))


if __name__ == "__main__":
    rank_main(*sys.argv[1:])
