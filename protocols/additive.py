"""`additive`: n parties hold summands modulo 2^64; a dealer without data gives the correlations.

Security model: semi-honest; any n-1 parties together learn nothing, unless they collude with the dealer. The dealer
sees no opening. Clients, which own inputs or receive results and do not compute, may be among those that pool what they
know. Every opened value is covered by a uniform mask that is used for this one value. Sources: Beaver 1991
(products), Catrina and Saxena 2010 and Escudero et al. 2020 (truncation with shared wrap bit), digit tables after
Ohata and Nuida 2020. Steps that need several messages stand in files of their own and are delegated to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor

from parties import ConfigurationError, DryParty, Observer, Party, Role, Seeds, exchange_seeds
from parties.needs import NEEDS, Needs
from protocols import bits as bit_steps
from protocols import clients, compare, exponential, products, scaled, smooth, sorting, tournament, truncate
from protocols.additive_share import DEPTH, AdditiveShare, Joined, derived
from protocols.base import Bilinear, Protocol, Share, Structural
from protocols.correlations.dealer import Correlations
from protocols.correlations.source import Messages, Source
from protocols.form import Form, Mask, add_forms, join_forms
from protocols.memory import Memory
from protocols.recorder import Recorder
from protocols.ring import broadcast, joined, outline
from protocols.schedule import Opening, Scheduler
from protocols.steps import Steps
from protocols.transcript import Transcript
from protocols.trust import ADDITIVE, ADDITIVE_FROM_FILES, Trust
from protocols.wire import open_all, to_bytes

ROUNDING = ("chance", "faithful")


def _own(x: Share) -> AdditiveShare:
    return cast(AdditiveShare, x)


class Additive(Steps, Protocol):
    """Additive sharing for n parties and a dealer. See `protocols.base.Protocol` for the operations."""

    name: ClassVar[str] = "additive"
    needs: ClassVar[Needs] = NEEDS["additive"]

    def __init__(
        self,
        party: Party,
        bits: int = 20,
        *,
        rounding: str = "chance",
        device: str | torch.device | Memory = "cpu",
        planning: bool = False,
        source: Source | None = None,
        observe: Callable[[Tensor], None] | None = None,
    ) -> None:
        """Set up the seeds with the other ranks.

        ``rounding``: "chance" or "faithful", how products lose their surplus fraction bits; see `truncate.rescale`.
        ``device``: where this rank's parts, masks and openings lie, or its memory; ranks may differ. ``planning``:
        count on meta tensors, with a `DryParty`, instead of computing. ``source``: of correlations that are dealt
        beforehand, on the dealer (a `DryParty`) and then on the parties; None: a dealer takes part. ``observe`` gets
        the bytes of every opened (masked) value, for tests of their distribution.
        """
        files = source is not None and party.role is not Role.DEALER
        if (party.dealer is None) != files or party.computing < 2:
            raise ConfigurationError(
                f"protocol 'additive' needs two or more computing parties, and a dealer or files that one dealt "
                f"beforehand; got {party.size} ranks, dealer "
                f"{'missing' if party.dealer is None else f'on rank {party.dealer}'}, {'' if files else 'no '}files"
            )
        if not 8 <= bits <= 24:
            raise ConfigurationError(f"fraction bits must be from 8 to 24, got {bits}")
        if rounding not in ROUNDING:
            raise ConfigurationError(f"rounding must be one of {', '.join(ROUNDING)}; got {rounding!r}")
        self.bits = bits
        self.faithful = rounding == "faithful"
        self._observe = observe
        self.party = party
        self.first = party.rank == 0
        self.virtual = planning or party.role is not Role.COMPUTING
        self.memory = device if isinstance(device, Memory) else Memory(device)
        self.device = self.memory.device
        self._seeds: Seeds | None = None if isinstance(party, DryParty) else exchange_seeds(party)
        if source is None and self._seeds is not None:
            source = Messages(party, self._seeds)
        self.correlations = Correlations(party, source, self.memory)
        self.transcript = Transcript(party.session, self.memory)
        self.scheduler = Scheduler(self._exchange)
        if party.role is Role.DEALER:
            # The last party may be waiting for correlations while the dealer waits for the last party.
            party.before_waiting = self.correlations.flush

    @property
    def trust(self) -> Trust:
        """What one relies on: with a running dealer, or with files that one dealt beforehand."""
        return ADDITIVE if self.party.dealer is not None else ADDITIVE_FROM_FILES

    def _exchange(self, openings: list[Opening]) -> None:
        self.correlations.flush()
        open_all(self.party, self.memory, openings, self.correlations.program)
        if not self.virtual:
            self.transcript.add(self.correlations.program, [cast(Tensor, opening.value) for opening in openings])
        if self._observe is not None:
            for opening in openings:
                self._observe(self.memory.to_host(to_bytes(cast(Tensor, opening.value), opening.width)))

    def note(self, what: bytes) -> None:
        self.correlations.note(what)

    def watch(self, recorder: Recorder | None) -> None:
        self.scheduler.recorder = self.correlations.recorder = recorder
        self.party.observer = recorder or Observer()

    @property
    def offline_bytes(self) -> int:
        """Bytes of corrections from the dealer."""
        return self.correlations.offline_bytes

    # ---- in and out --------------------------------------------------------------------------------------------

    def share(self, value: Tensor | None, shape: torch.Size, bits: int, owner: int) -> Share:
        """No message: the others' parts come from seeds they have in common with the owner, who keeps the rest.

        The first product opens the input under a mask that its owner knows: 8 bytes an element, from the owner alone.
        The input of a client is opened so at once, in the next round; see `clients.share`.
        """
        return self._input(value, shape, bits, owner, is_bit=False)

    def share_bits(self, value: Tensor | None, shape: torch.Size, owner: int) -> Share:
        return self._input(value, shape, 0, owner, is_bit=True)

    def _input(self, value: Tensor | None, shape: torch.Size, bits: int, owner: int, *, is_bit: bool) -> Share:
        self._check_rank("owner", owner)
        if self.party.rank == owner and not isinstance(self.party, DryParty):
            got = None if value is None else tuple(value.shape)
            if got != tuple(shape):
                raise ConfigurationError(f"rank {owner} owns an input of shape {tuple(shape)}, got {got}")
        if owner in self.party.clients:
            return clients.share(self, value, torch.Size(shape), bits, owner, is_bit=is_bit)
        out = AdditiveShare(torch.Size(shape), bits, is_bit)
        out.keep = out.ready = True
        out.owner = None if is_bit else owner
        out.after = self.scheduler.learned(owner)
        if self.virtual or self._seeds is None:
            out.data = outline(shape, out.dtype)
            return out
        rank = self.party.rank
        if rank != owner:
            word = self.memory.uniform(shape, self._seeds.stream(owner, "input", owner))
            out.data = (word & 1).to(torch.uint8) if is_bit else word
            return out
        part = cast(Tensor, value).to(self.device, torch.uint8 if is_bit else torch.int64, copy=True)
        if not is_bit:
            out.facts["plain"] = part.clone()
        for peer in self.party.peers:
            word = self.memory.uniform(shape, self._seeds.stream(peer, "input", owner))
            part = part ^ (word & 1).to(torch.uint8) if is_bit else part - word
        out.data = part
        return out

    def constant(self, value: Tensor, bits: int) -> Share:
        is_bit = value.dtype == torch.bool
        out = AdditiveShare(value.shape, 0 if is_bit else bits, is_bit)
        public = outline(value.shape, out.dtype) if self.virtual else value.to(self.device, out.dtype, copy=True)
        out.data = public if self.first or self.virtual else torch.zeros_like(public)
        out.ready = True
        if not is_bit:
            dealer = self.party.role is Role.DEALER
            secret = torch.zeros(value.shape, dtype=torch.int64, device=self.device) if dealer else None
            out.form = Form(public, [])
            out.clean = Form(public, [(-1, Mask(torch.zeros_like(public), secret))])
        return out

    def reveal(self, x: Share, to: Sequence[int] | None = None, label: str = "reveal") -> Tensor | None:
        """Open x to the receivers, unmasked: they learn the value, and nothing else since parts are re-randomised.

        Surplus fraction bits are cut off before, so that what is revealed has the session's precision. Then the parties
        compare ``label`` and the hash of everything opened so far; if these differ, nothing is opened.

        Receivers may be clients; None: all computing parties.

        Cost: two rounds; each party sends 32 bytes to every other, and 8 an element (a bit: one byte) to each receiver.
        """
        own = _own(x if x.is_bit or x.bits <= self.bits else self.rescale(x, self.bits))
        self.settle(own, kind="reveal")
        receivers = list(range(self.party.computing)) if to is None else sorted(set(to))
        for rank in receivers:
            self._check_rank("receiver", rank)
        value = products.reveal(self, own, receivers, label)
        return value if value is None or x.is_bit else value << (x.bits - own.bits)

    def _check_rank(self, what: str, rank: int) -> None:
        if not 0 <= rank < self.party.computing + len(self.party.clients):
            n, c = self.party.computing, len(self.party.clients)
            beside = f" or a client, {n} to {n + c - 1}" if c else ""
            raise ConfigurationError(f"{what} must be a computing party, 0 to {n - 1}{beside}; got {rank}")

    def fresh_zero(self, shape: torch.Size, *, is_bit: bool) -> Tensor:
        """Return this party's part of a uniform sharing of zero, from pairwise seeds. No message."""
        part = torch.zeros(shape, dtype=torch.uint8 if is_bit else torch.int64, device=self.device)
        if self._seeds is not None:
            for peer in self.party.peers:
                word = self.memory.uniform(shape, self._seeds.stream(peer, "zero"))
                if is_bit:
                    part ^= (word & 1).to(torch.uint8)
                else:
                    part += word if self.party.rank < peer else -word
        return part

    def settle(self, *shares: Share, kind: str = "settle") -> None:
        for x in shares:
            own = _own(x)
            own.begin()
            self.scheduler.settle(own, kind)  # type: ignore[arg-type]
        self.correlations.flush()

    def export(self, x: Share) -> Tensor | None:
        self.settle(x)
        if self.virtual:
            return None
        part = _own(x).part
        return part.clone() if part.is_meta else part.to("cpu", copy=True)

    def restore(self, part: Tensor | None, shape: torch.Size, bits: int) -> Share:
        out = AdditiveShare(torch.Size(shape), bits)
        if self.virtual:
            out.data = outline(shape)
        elif part is None or tuple(part.shape) != tuple(shape) or part.dtype != torch.int64:
            got = None if part is None else f"{tuple(part.shape)} {part.dtype}"
            raise ConfigurationError(f"a part of shape {tuple(shape)} of 64-bit integers is wanted, got {got}")
        else:
            out.data = part.to(self.device, copy=True)
        out.ready = True
        return out

    def finish(self) -> None:
        self.correlations.finish()

    def close(self) -> None:
        """Forget the seeds and generators. Nothing can be shared or opened afterwards."""
        self.correlations.close()
        if self._seeds is not None:
            self._seeds.erase()

    # ---- local -------------------------------------------------------------------------------------------------

    def add(self, x: Share, y: Share) -> Share:
        x, y = truncate.align(self, self._number(x), self._number(y))
        a, b = _own(x), _own(y)
        out = self.local([a, b], x.bits, torch.add, shape=broadcast(x.shape, y.shape))
        if a.clean is not None and b.clean is not None:
            out.clean, out.opened = add_forms(a.clean, b.clean), self.scheduler.after(a.opened, b.opened)
        return out

    def negate(self, x: Share) -> Share:
        return self._multiple(self._number(x), -1)

    def _multiple(self, x: Share, factor: int) -> AdditiveShare:
        own = _own(x)

        def scaled(form: Form) -> Form:
            return form.scaled(factor)

        out = self.local([own], x.bits, lambda part: part * factor, shape=x.shape, form=scaled)
        out.origin = derived(own, scaled, whole=True)
        return out

    def add_constant(self, x: Share, value: Tensor, bits: int) -> Share:
        x = self._number(x)
        if bits > x.bits:
            x = self.lift(x, bits)
        value = self.memory.here(value) << (x.bits - bits)
        own = _own(x)
        shift = outline(value.shape) if self.virtual else value
        zero = torch.zeros_like(value) if not (self.first or self.virtual) else shift
        shape = broadcast(x.shape, value.shape)

        def shifted(form: Form) -> Form:
            return form.shifted(shift)

        same = shape == x.shape
        out = self.local(
            [own], x.bits, lambda part: part + zero.to(part.device), shape=shape, form=shifted if same else None
        )
        if same:
            out.origin = derived(own, shifted, whole=True)
        return out

    def scale(self, x: Share, value: Tensor, bits: int, to: int | None = None) -> Share:
        return truncate.scale(self, self._number(x), value, bits, to)

    def shift(self, x: Share, power: int) -> Share:
        own = _own(self._number(x))
        if own.bits - power < 0:
            own = _own(self.lift(own, power))
        out = self.local([own], own.bits - power, lambda part: part, shape=own.shape, form=lambda form: form)
        out.origin = derived(own, lambda form: form, whole=True)
        return out

    def lift(self, x: Share, bits: int) -> Share:
        """Bring x to more fraction bits, exactly: a local multiplication by a power of two."""
        out = self._multiple(x, 1 << (bits - x.bits))
        out.bits = bits
        return out

    def structural(self, x: Share, move: Structural) -> Share:
        own = _own(x)

        def moved(form: Form) -> Form:
            return form.structural(move)

        out = self.local([own], x.bits, move, is_bit=x.is_bit, form=moved)
        out.origin = derived(own, moved, derive_bits=lambda form: form.structural(move), whole=True)
        return out

    def join(self, shares: Sequence[Share], move: Callable[[list[Tensor]], Tensor]) -> Share:
        shape = joined(move, [x.shape for x in shares])
        if all(x.is_bit for x in shares):
            return self.local([_own(x) for x in shares], 0, lambda *parts: move(list(parts)), is_bit=True, shape=shape)
        numbers = truncate.align(self, *(self._number(x) for x in shares))
        own = [_own(x) for x in numbers]
        out = self.local(own, numbers[0].bits, lambda *parts: move(list(parts)), shape=shape)
        if all(x.clean is not None for x in own):
            out.clean = join_forms([cast(Form, x.clean) for x in own], move)
            out.opened = self.scheduler.after(*(x.opened for x in own))
        elif (depth := 1 + max((x.depth for x in own), default=0)) < DEPTH:
            out.joined, out.keep = Joined(own, move, depth), all(x.from_owners for x in own)
        return out

    def linear(
        self,
        x: Share,
        function: Callable[[Tensor], Tensor],
        *,
        shape: Sequence[int] | None = None,
        whole: bool = False,
    ) -> Share:
        """Apply a linear map. ``whole``: where the result has to be opened, open x instead and derive it."""
        own = _own(self._number(x))
        out = self.local([own], own.bits, function, shape=shape)
        out.origin = derived(own, lambda form: form.structural(function), whole=whole)
        return out

    def linear_public(self, x: Share, value: Tensor, bits: int, op: Bilinear) -> Share:
        own, value, bits = truncate.fit(self, self._number(x), value, bits)
        self.note(op.name.encode())
        public = outline(value.shape) if self.virtual else value.to(self.device, copy=True)
        shape = op.shape(own.shape, value.shape)
        return self.local([_own(own)], own.bits + bits, lambda part: op.apply(part, public), shape=shape)

    def _number(self, x: Share) -> Share:
        return self.integer(x) if x.is_bit else x

    # ---- steps with messages -----------------------------------------------------------------------------------

    def multiply(self, x: Share, y: Share) -> Share:
        return products.multiply(self, self._number(x), self._number(y))

    def product(self, x: Share, y: Share, op: Bilinear) -> Share:
        return products.product(self, self._number(x), self._number(y), op)

    def rescale(self, x: Share, bits: int, *, faithful: bool = False) -> Share:
        return truncate.rescale(self, self._number(x), bits, faithful=faithful)

    def negative(self, x: Share) -> Share:
        return compare.negative(self, _own(self._number(x)))

    def zero(self, x: Share) -> Share:
        return compare.zero(self, _own(self._number(x)))

    def invert(self, b: Share) -> Share:
        return bit_steps.invert(self, _own(b))

    def both(self, b: Share, c: Share) -> Share:
        return bit_steps.both(self, _own(b), _own(c))

    def differ(self, b: Share, c: Share) -> Share:
        return bit_steps.differ(self, _own(b), _own(c))

    def integer(self, b: Share) -> Share:
        return bit_steps.integer(self, _own(b)) if b.is_bit else b

    def gate(self, b: Share, x: Share) -> Share:
        return self.multiply(b, x)

    def exp(self, x: Share) -> Share:
        return exponential.exp(self, self._number(x))

    def scaled(self, x: Share, function: str) -> Share:
        return scaled.scaled(self, self._number(x), function)

    def periodic(self, x: Share, function: str) -> Share:
        return smooth.periodic(self, self._number(x), function)

    def interval(self, x: Share, function: str) -> Share:
        return smooth.interval(self, self._number(x), function)

    def maximum(self, x: Share, dim: int) -> tuple[Share, Share]:
        return tournament.maximum(self, self._number(x), dim)

    def sort(self, x: Share, dim: int, *, descending: bool = False) -> tuple[Share, Share]:
        return sorting.sort(self, self._number(x), dim, descending=descending)
