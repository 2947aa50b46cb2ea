"""The conformance suite of protocols: one call asks somebody's own protocol the questions that ours must answer.

`check_protocol(make)` runs every operation of `cases` among threads with real messages, for several numbers of
parties, and checks the values against float64, the declared against the counted cost, the planner against both, that
parts of shares are uniform, and that opened values are uniform whatever the inputs are. `check_clients(make)` asks them
where the inputs belong to clients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from parties import DryParty, Party, simulate
from parties.needs import Needs
from protocols.base import Cost, Protocol, Share
from protocols.cases import CASES, Case
from protocols.plain import InsecurePlain

__all__ = ["check_clients", "check_cost", "check_openings", "check_protocol", "check_uniform_shares", "check_values"]

Result = TypeVar("Result")

Make = Callable[..., Protocol]
"""make(party, bits=20, planning=False, observe=None) -> Protocol; observe gets every opened value, as bytes."""

BITS = 20

CHI_SQUARE_LIMIT = 420.0
"""Bound for 255 degrees of freedom: exceeded by chance once in 10^9 times."""


@dataclass(frozen=True)
class Outcome:
    """What one run gave: the value at rank 0 (float64 or bool) and what was sent before it was revealed.

    ``cost`` is that of the operation; ``ranks`` holds the value on every rank that learned it.
    """

    value: Tensor
    cost: Cost
    ranks: list[Tensor | None]


def encode(values: Tensor) -> Tensor:
    """Fixed point with the suite's fraction bits."""
    return torch.round(values.double() * 2.0**BITS).to(torch.int64)


def operands(case: Case, n: int, seed: int) -> list[Tensor]:
    """Draw n numbers for each operand, the ends of the range among them, rounded to the encoding."""
    generator = torch.Generator().manual_seed(seed)
    out = []
    for low, high in case.ranges:
        x = torch.rand(n, generator=generator, dtype=torch.float64) * (high - low) + low
        x[0], x[1] = low, high
        out.append(torch.round(x) if case.integral else encode(x).double() / 2.0**BITS)
    return out


def decode(value: Tensor, share: Share) -> Tensor:
    """Turn what was revealed into float64, or bool."""
    return value if value.dtype == torch.bool else value.double() / 2.0**share.bits


def needs_of(make: Make) -> Needs:
    """What the protocol that ``make`` makes asks of a run; a function may say it in an attribute, as classes do."""
    return cast(Needs, getattr(make, "needs", Needs()))


def _simulate(make: Make, parties: int, program: Callable[[Party], Result], clients: int) -> list[Result]:
    """Run a program among computing parties, clients, and a dealer if the protocol has one."""
    dealer = needs_of(make).dealer
    return simulate(parties + clients + dealer, program, dealer=dealer, clients=clients)


def _computed(protocol: Protocol, share: Share) -> Share:
    """Turn an input, which its owner knows, into a value that nobody knows."""
    return protocol.linear(share, lambda part: part * 1)


def run(
    make: Make,
    parties: int,
    case: Case,
    values: Sequence[Tensor],
    observe: Callable[[Tensor], None] | None = None,
    computed: bool = False,
    clients: int = 0,
) -> Outcome:
    """Run a case among ``parties`` threads and a dealer. Inputs belong to ranks 0 and 1 in turn or are ``computed``.

    With ``clients`` they belong to these in turn, who learn the result too.
    """
    def program(party: Party) -> tuple[Tensor | None, int, int, int]:
        protocol = make(party, bits=BITS, observe=observe if party.rank == 0 else None)
        owners = [parties + i % clients if clients else i % 2 for i in range(len(values))]
        shares = [
            protocol.share(encode(v) if party.rank == owner else None, v.shape, BITS, owner)
            for owner, v in zip(owners, values, strict=True)
        ]
        shares = [_computed(protocol, share) for share in shares] if computed else shares
        protocol.settle(*shares)  # what an input costs is not counted
        before, dealt = party.counts.snapshot(), protocol.offline_bytes
        out = case.program(protocol, *shares)
        protocol.settle(out)
        online, dealt = (party.counts - before).total("online"), protocol.offline_bytes - dealt
        revealed = protocol.reveal(out, range(parties + clients))
        value = None if revealed is None else decode(revealed, out)
        return value, online.bytes_sent, online.rounds, dealt

    results = _simulate(make, parties, program, clients)
    value = results[0][0]
    if value is None:
        raise AssertionError(f"{case.name}: nothing was revealed to rank 0")
    cost = Cost(max(r[1] for r in results), max(r[2] for r in results), max(r[3] for r in results))
    return Outcome(value, cost, [r[0] for r in results])


def reference(case: Case, values: Sequence[Tensor]) -> Tensor:
    """Return what the plain protocol gives."""
    protocol = InsecurePlain(bits=52)
    shares = [protocol.share(encode(v), v.shape, BITS, 0) for v in values]
    value = cast(Any, case.program(protocol, *shares)).value
    return cast(Tensor, value)


def check_values(
    make: Make, parties: int, case: Case, n: int = 1000, seed: int = 0, *, clients: int = 0
) -> Outcome:
    """Compare a case's values, of inputs and of computed operands, with float64. Raises AssertionError.

    Arguments:
        make: the protocol's class, or a function like it.
        parties: how many ranks compute.
        case: the operation, see `protocols.cases`.
        n: how many elements.
        seed: of the numbers drawn.
        clients: how many clients own the inputs in turn; none: ranks 0 and 1.

    Returns what the run on inputs gave.
    """
    values = operands(case, n, seed)
    want = reference(case, values)
    outcome = run(make, parties, case, values, clients=clients)
    of_computed = run(make, parties, case, values, computed=True, clients=clients)
    computing = parties + clients
    for rank, got in (*enumerate(outcome.ranks[:computing]), *enumerate(of_computed.ranks[:computing])):
        if got is None or got.shape != want.shape or got.dtype != want.dtype:
            raise AssertionError(f"{case.name}: rank {rank} got {got if got is None else got.shape}, want {want.shape}")
        error = (got.double() - want.double()).abs()
        allowed = case.absolute + case.relative * want.double().abs()
        worst = int((error - allowed).argmax())
        if bool((error > allowed).any()):
            raise AssertionError(
                f"{case.name}, {parties} parties: got {got.reshape(-1)[worst]}, want {want.reshape(-1)[worst]} "
                f"within {allowed.expand(want.shape).reshape(-1)[worst] if isinstance(allowed, Tensor) else allowed}"
            )
    return outcome


def planned(make: Make, parties: int, case: Case, n: int) -> Cost:
    """Return what the planner counts for a case, without peers or data."""
    party = DryParty(parties, dealer=needs_of(make).dealer)
    protocol = make(party, bits=BITS, planning=True)
    shape = torch.Size([n])
    shares = [_computed(protocol, protocol.share(None, shape, BITS, i % 2)) for i in range(len(case.ranges))]
    protocol.settle(*shares)
    before, sent, dealt = party.counts.total("online").rounds, list(party.sent), protocol.offline_bytes
    protocol.settle(case.program(protocol, *shares))
    most = max(now - then for now, then in zip(party.sent, sent, strict=True))
    return Cost(most, party.counts.total("online").rounds - before, protocol.offline_bytes - dealt)


def check_cost(
    make: Make, parties: int, case: Case, costs: Mapping[str, Callable[[int], Cost]] | None, n: int = 1000
) -> None:
    """Compare counted, declared and planned cost, of operands that nobody knows. Raises AssertionError.

    Arguments:
        make: the protocol's class, or a function like it.
        parties: how many ranks compute.
        case: the operation, see `protocols.cases`.
        costs: declared, by the names that cases have, as functions of the elements: bytes to one peer; to all, of a
            protocol that takes one number of parties only; None: nothing is declared.
        n: how many elements.
    """
    counted = run(make, parties, case, operands(case, n, 0), computed=True).cost
    plan = planned(make, parties, case, n)
    if plan != counted:
        raise AssertionError(f"{case.name}, {parties} parties: planned {plan}, sent {counted}")
    if costs is not None and case.cost is not None:
        declared = costs[case.cost](n)
        declared = Cost(declared.bytes * _peers(make, parties), declared.rounds, declared.offline)
        if declared != counted:
            raise AssertionError(f"{case.name}, {parties} parties: declared {declared}, sent {counted}")


def _peers(make: Make, parties: int) -> int:
    """By how many peers declared bytes count."""
    needs = needs_of(make)
    return 1 if needs.fewest == needs.most else parties - 1


def chi_square(octets: Tensor) -> float:
    """Statistic of byte values against the uniform distribution, 255 degrees of freedom."""
    seen = torch.bincount(octets.reshape(-1).to(torch.int64), minlength=256).double()
    expected = octets.numel() / 256
    return float(((seen - expected) ** 2 / expected).sum())


def check_uniform_shares(make: Make, parties: int, value: float = 1.5, n: int = 20_000, *, clients: int = 0) -> None:
    """Check that every party's part of a shared constant is uniform, byte by byte. Raises AssertionError.

    The constant belongs to rank 0, or to the last client.

    Arguments:
        make: the protocol's class, or a function like it.
        parties: how many ranks compute.
        value: the constant.
        n: how many elements.
        clients: how many clients there are.
    """
    owner = parties + clients - 1 if clients else 0

    def program(party: Party) -> Tensor | None:
        protocol = make(party, bits=BITS)
        mine = encode(torch.full((n,), value)) if party.rank == owner else None
        return protocol.export(protocol.share(mine, torch.Size([n]), BITS, owner))

    parts = _simulate(make, parties, program, clients)
    if any(part is not None for part in parts[parties:]):
        raise AssertionError("a rank that does not compute holds a part")
    for rank, part in enumerate(parts[:parties]):
        if part is None:
            raise AssertionError(f"rank {rank} holds no part")
        for place in range(8):
            statistic = chi_square(part.view(torch.uint8).reshape(-1, 8)[:, place])
            if statistic > CHI_SQUARE_LIMIT:
                raise AssertionError(
                    f"rank {rank}: byte {place} of the parts of {value} has chi-square {statistic:.0f}"
                )


def check_openings(make: Make, parties: int, case: Case, n: int = 4000, *, clients: int = 0) -> None:
    """Check that everything opened is uniform, for two different inputs. Raises AssertionError.

    Arguments:
        make: the protocol's class, or a function like it.
        parties: how many ranks compute.
        case: the operation, see `protocols.cases`.
        n: how many elements.
        clients: how many clients own the inputs in turn; none: ranks 0 and 1.
    """
    for low in (True, False):
        values = [torch.full((n,), end[0] if low else end[1]) for end in case.ranges]
        seen: list[Tensor] = []
        run(make, parties, case, values, seen.append, clients=clients)
        if not seen:
            continue
        octets = torch.cat(seen)
        statistic = chi_square(octets)
        if octets.numel() >= 2000 and statistic > CHI_SQUARE_LIMIT:
            raise AssertionError(
                f"{case.name}: {octets.numel()} opened bytes have chi-square {statistic:.0f} for inputs at the "
                f"{'lower' if low else 'upper'} end"
            )


def check_protocol(
    make: Make,
    costs: Mapping[str, Callable[[int], Cost]],
    parties: Sequence[int] = (2, 3, 5),
    cases: Sequence[Case] = CASES,
) -> None:
    """Ask all questions of all cases for all numbers of parties. Raises AssertionError that names what failed.

    Arguments:
        make: the protocol's class, or a function like it; see `Make`.
        costs: what an operation sends to one peer, by the name that cases use, as a function of the elements.
        parties: how many compute; each number is tried.
        cases: the operations, see `protocols.cases`.

    >>> from protocols import cases, costs
    >>> some = [case for case in cases.CASES if case.name in ("multiply", "zero")]
    >>> protocols.testing.check_protocol(protocols.Additive, costs.COSTS, parties=[2], cases=some)
    """
    for size in parties:
        check_uniform_shares(make, size)
        for case in cases:
            check_values(make, size, case)
            check_cost(make, size, case, costs)
            check_openings(make, size, case)


def check_clients(
    make: Make,
    costs: Mapping[str, Callable[[int], Cost]],
    parties: Sequence[int] = (2, 3),
    cases: Sequence[Case] = CASES,
) -> None:
    """Ask the questions of all cases with inputs that belong to two clients, who also learn the results.

    Raises AssertionError that names what failed. ``make``, ``parties`` and ``cases`` are as in `check_protocol`;
    ``costs`` declares "client input", "client bits" and "client reveal" besides.
    """
    for size in parties:
        check_uniform_shares(make, size, clients=2)
        check_client_cost(make, size, costs)
        for case in cases:
            check_values(make, size, case, clients=2)
            check_openings(make, size, case, clients=2)


def check_client_cost(
    make: Make, parties: int, costs: Mapping[str, Callable[[int], Cost]], n: int = 1001, clients: int = 2
) -> None:
    """Compare counted, declared and planned cost of a client's input and of reveals to it. Raises AssertionError.

    The client alone sends an input, to every computing party; the computing parties alone send a reveal.
    """
    client, shape = parties + clients - 1, torch.Size([n])

    def program(party: Party) -> list[Cost]:
        protocol = make(party, bits=BITS, planning=isinstance(party, DryParty))
        value = torch.arange(n) if party.rank == client and not isinstance(party, DryParty) else None
        truth = None if value is None else value % 3 == 0
        out: list[Cost] = []

        def count(action: Callable[[], object]) -> None:
            before, dealt = party.counts.snapshot(), protocol.offline_bytes
            action()
            online = (party.counts - before).total("online")
            out.append(Cost(online.bytes_sent, online.rounds, protocol.offline_bytes - dealt))

        count(lambda: protocol.settle(protocol.share(value, shape, BITS, client)))
        count(lambda: protocol.settle(protocol.share_bits(truth, shape, client)))
        known = protocol.constant(torch.arange(n), BITS)
        count(lambda: protocol.reveal(known, [0]))
        count(lambda: protocol.reveal(known, [0, client]))
        return out

    got = _simulate(make, parties, program, clients)
    most = [max(costs[k].rounds for costs in got[:parties]) for k in range(len(got[0]))]
    for rank in range(parties):  # one that has nothing to send or to hear takes no part in a round
        got[rank] = [replace(cost, rounds=rounds) for cost, rounds in zip(got[rank], most, strict=True)]
    inputs, reveal = [costs["client input"](n), costs["client bits"](n)], costs["client reveal"](n)
    for rank in range(parties + clients):
        before = got[rank][2]
        if rank == client:
            want = [Cost(one.bytes * parties, one.rounds, one.offline) for one in inputs]
            want += [Cost(0, 0, 0), Cost(0, 1, 0)]
        elif rank < parties:
            want = [Cost(0, one.rounds, one.offline) for one in inputs]
            want += [before, Cost(before.bytes + reveal.bytes, before.rounds + reveal.rounds, 0)]
        else:
            want = [*(Cost(0, 0, one.offline) for one in inputs), Cost(0, 0, 0), Cost(0, 0, 0)]
        planned = program(DryParty(parties, dealer=needs_of(make).dealer, clients=clients, rank=rank))
        if not got[rank] == want == planned:
            text = f"declared {want}, planned {planned}, sent {got[rank]}"
            raise AssertionError(f"{parties} parties, rank {rank}, input of rank {client}: {text}")
