"""`verified`: three parties, replicated shares modulo 2^64 as in `replicated`, safe against one that lies; no dealer.

Security model: malicious with abort, honest majority: one party alone may send what it likes, and learns nothing; a
result that it changed is given out with chance 2^-40 at most. Two that pool what they hold know everything. Every
message is a party's summand of a product, or a value that one party shares; what it must be is written down as a claim
(`proofs.claims`), and all claims are checked in one batch before anything is revealed (`proofs.check`), without opening
one. Nothing else is ever opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn, cast

import torch
from torch import Tensor

from parties import ConfigurationError, DisagreementError, Party
from parties.needs import NEEDS, Needs
from protocols import precision, sorting, tournament
from protocols.base import Bilinear, Share
from protocols.proofs import bits as bit_steps
from protocols.proofs import exponential, rescaling, revealing, scaled, signs, smooth
from protocols.proofs.check import Checker
from protocols.proofs.claims import LIMIT, Claim, Claims
from protocols.proofs.pieces import PartsStep, Pieces
from protocols.ring import as_bytes, multiply_op, outline
from protocols.trio.agree import SIZE
from protocols.trio.share import Parts, ReplicatedShare
from protocols.trust import VERIFIED, Trust


def _own(x: Share) -> ReplicatedShare:
    return cast(ReplicatedShare, x)


class Verified(Pieces):
    """Replicated sharing among three parties, one of which may lie. See `protocols.base.Protocol`."""

    name: ClassVar[str] = "verified"
    needs: ClassVar[Needs] = NEEDS["verified"]

    def __init__(self, party: Party, bits: int = 20, **options: Any) -> None:
        """Set up the seeds with the other parties; see `AmongThree`."""
        super().__init__(party, bits, **options)
        self.claims = Claims()
        self._checker = Checker(self)

    @property
    def trust(self) -> Trust:
        """What one relies on: that no two parties collude."""
        return VERIFIED

    # ---- in and out --------------------------------------------------------------------------------------------

    def _reveal(self, x: ReplicatedShare, receivers: Sequence[int], label: str) -> Tensor | None:
        """Open x after a check of all claims: see `proofs.revealing.reveal`."""
        return revealing.reveal(self, x, receivers, label)

    def settle(self, *shares: Share, kind: str = "settle") -> None:
        super().settle(*shares, kind=kind)
        if self.claims.terms > LIMIT:
            self.check("what was computed so far", bytes(SIZE))

    def check(self, label: str, agreed: bytes) -> None:
        """Check all claims made since the last check. Raises DisagreementError, and ends the session.

        ``agreed``: 32 bytes that all parties must have alike.
        """
        self._checker.check(label, agreed)

    def refuse(self, error: DisagreementError) -> NoReturn:
        """End the session on all ranks, forget the seeds, and raise the error."""
        self.close()
        self.party.fail(error)
        raise error

    def heard(self, pieces: Parts) -> None:
        """What a client sent must be the same at both holders of each piece: the next check compares it."""
        for place, piece in enumerate(pieces):
            octets = b"" if self.virtual or piece.is_meta else as_bytes(self.memory.to_host(piece))
            self._checker.compare((self.party.rank + place) % 3, octets)

    def export(self, x: Share) -> Tensor | None:
        """Return this party's first piece: `restore` cannot take it back."""
        self.settle(x)
        return None if self.virtual else cast(Parts, _own(x).parts)[0].to("cpu", copy=True)

    def restore(self, part: Tensor | None, shape: torch.Size, bits: int) -> Share:
        """Refused: a party could change what it stored without notice."""
        raise ConfigurationError(
            "protocol 'verified' cannot take up stored shares, which a party could have changed; reveal what is to be "
            "stored, or store it under another protocol"
        )

    # ---- products ----------------------------------------------------------------------------------------------

    def multiply(self, x: Share, y: Share) -> Share:
        """x * y elementwise. Cost: 8 bytes an element, one round."""
        return self.gate(x, y) if x.is_bit or y.is_bit else self.product(x, y, multiply_op())

    def product(self, x: Share, y: Share, op: Bilinear) -> Share:
        """op(x, y), of any length. Cost: 8 bytes an element of the result, one round."""
        x, y = precision.operands(self, self.number(x), self.number(y))
        self.note(op.name.encode())
        shape = op.shape(x.shape, y.shape)
        return self.make(shape, x.bits + y.bits, self._product(_own(x), _own(y), op, shape))

    def _product(self, x: ReplicatedShare, y: ReplicatedShare, op: Bilinear, shape: torch.Size) -> PartsStep:
        one, other = self.ahead(self.parts(x)), self.ahead(self.parts(y))
        yield from (one, other)
        left, right = one.result, other.result
        if op == multiply_op():
            return (yield from self.times([(left, right)]))
        (a, b), (c, d) = left, right
        total = outline(shape) if self.virtual else op.apply(a, c + d) + op.apply(b, c)
        out = yield from self.around(total)
        self.claims.add(Claim([(left, right)], out, op=op))
        return out

    # ---- what other files bring ------------------------------------------------------------------------------------

    def scale(self, x: Share, value: Tensor, bits: int, to: int | None = None) -> Share:
        return rescaling.scale(self, self.number(x), value, bits, to)

    def rescale(self, x: Share, bits: int, *, faithful: bool = False) -> Share:
        return rescaling.rescale(self, self.number(x), bits, faithful=faithful)

    def negative(self, x: Share) -> Share:
        return signs.negative(self, _own(self.number(x)))

    def zero(self, x: Share) -> Share:
        return signs.zero(self, _own(self.number(x)))

    def invert(self, b: Share) -> Share:
        return self.local([_own(b)], 0, lambda part: part, is_bit=True, shape=b.shape, public=lambda part: part ^ 1)

    def both(self, b: Share, c: Share) -> Share:
        return bit_steps.both(self, _own(b), _own(c))

    def integer(self, b: Share) -> Share:
        return bit_steps.integer(self, _own(b)) if b.is_bit else b

    def gate(self, b: Share, x: Share) -> Share:
        return bit_steps.gate(self, b, x)

    def relu(self, x: Share) -> tuple[Share, Share]:
        x = self.number(x)
        bit = signs.positive(self, _own(x))
        return self.gate(bit, x), bit

    def exp(self, x: Share) -> Share:
        return exponential.exp(self, self.number(x))

    def scaled(self, x: Share, function: str) -> Share:
        return scaled.scaled(self, self.number(x), function)

    def periodic(self, x: Share, function: str) -> Share:
        return smooth.periodic(self, self.number(x), function)

    def interval(self, x: Share, function: str) -> Share:
        return smooth.interval(self, self.number(x), function)

    def maximum(self, x: Share, dim: int) -> tuple[Share, Share]:
        return tournament.maximum(self, self.number(x), dim, largest=2)

    def sort(self, x: Share, dim: int, *, descending: bool = False) -> tuple[Share, Share]:
        return sorting.sort(self, self.number(x), dim, descending=descending)
