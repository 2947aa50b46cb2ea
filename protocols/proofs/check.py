"""The check of all claims: that whatever was sent or dealt is what it has to be, without opening any of it.

Random weights turn the claims into one inner product <x, y> = z of shared vectors over an extension of words, and one
over an extension of bits (`statements`). Vectors are folded until little is left: of K blocks the parties compute the
products of every two, so that with f(X) = sum of x_a X^a and g(X) = sum of y_a X^(K-1-a) the polynomial h = <f, g> is
shared, z its middle coefficient; a random r is drawn, and <f(r), g(r)> = h(r) has to be shown, of length n / K. In the
end a random pair (a, b) is added as a X^K and b X^K, f(r) and g(r), which are uniform then, are opened, and parties
compare what they hold of h(r) with f(r) g(r).

Security: messages are summands made fresh by a sharing of zero, so that a party that lies adds errors that it knows
and learns nothing. If a claim is false, the polynomials differ at some fold, and agree at random r with probability
(2 K - 2) / (2^48 - 1), at the last fold 2 K / (2^48 - 1); with the weights a check passes with probability `error`,
at most 2^-40. The weights and each r are drawn by all after every message before them has come: a party gives out its
piece of a coin to the one party that has sent it its summand.

Sources: Boneh, Boyle, Corrigan-Gibbs, Gilboa, Ishai 2019 and Boyle, Gilboa, Ishai, Nof 2019 (recursion, Galois rings);
Goyal and Song 2020 (on shares, with a random pair).
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple, NoReturn, cast

import torch
from torch import Tensor

from parties import DisagreementError, DryParty, Generator, JointfitError, Role, Seeds, SoloParty
from parties.prg import SEED_SIZE
from protocols.proofs.extension import DEGREE, Extension
from protocols.proofs.pieces import Pieces
from protocols.proofs.statements import FEW, ROWS, Statement
from protocols.ring import as_bytes
from protocols.trio.agree import SIZE, disagreement
from protocols.trio.share import Parts
from protocols.wire import pack_bits, unpack_bits

DIGEST = 32

LAST = 16
"""Length from which on no fold follows but the last."""


def folds(length: int, rows: int) -> list[int]:
    """Blocks of every fold of an inner product, the rows of the grid first; after them comes the last fold."""
    out = [rows] if rows > 1 else []
    while length > LAST:
        out.append(2 if length > 1 << 14 else 4 if length > 1 << 12 else LAST)
        length = -(-length // out[-1])
    return out


def error(length: int, rows: int) -> float:
    """Bound of the probability that a check passes though a claim of words, or of bits, is false."""
    roots = sum(2 * count - 2 for count in folds(length, rows)) + 2 * LAST
    return 2 / (1 << DEGREE) + roots / ((1 << DEGREE) - 1)


class Round(NamedTuple):
    """One round: what it is for, bytes that every party sends to the party after it and to the one before."""

    label: str
    after: int
    before: int


class Shape(NamedTuple):
    """An inner product: length once the rows are folded, rows of the grid."""

    length: int
    rows: int

    def products(self, is_bit: bool) -> list[int]:
        """Bytes of a party's summands, at every fold."""
        if not self.length:
            return []
        size = DEGREE // 8 if is_bit else DEGREE * 8
        left = self.length
        for count in folds(self.length, self.rows)[self.rows > 1 :]:
            left = -(-left // count)
        counts = [2 * count - 2 for count in folds(self.length, self.rows)]
        return [size * count for count in (*counts, 2 * left)]


def rounds(words: Shape, bits: Shape) -> list[Round]:
    """What a check sends. Folds of words and of bits go side by side and end together."""
    sizes = [words.products(False), bits.products(True)]
    count = max(len(one) for one in sizes)
    out = [Round("check: digests", SIZE + DIGEST, SIZE + DIGEST)]
    if count:
        out.append(Round("check: weights", SEED_SIZE, DIGEST))
    for k in range(count):
        size = sum(one[k - count + len(one)] for one in sizes if k >= count - len(one))
        out += [Round(f"check: fold {k + 1}", 0, size), Round(f"check: point {k + 1}", SEED_SIZE, DIGEST)]
    if count:
        opened = (2 * DEGREE * 8 if words.length else 0) + (2 * DEGREE // 8 if bits.length else 0)
        out.append(Round("check: result", opened + DIGEST, DIGEST))
    return out


def check_cost(words: int, bits: int, longer: int = 0) -> tuple[int, int]:
    """Bytes that a party sends in a check, and rounds.

    Arguments:
        words: products of two words, in claims of one pair each.
        bits: bytes of bits, likewise.
        longer: elements of the inner products that bilinear operations leave, see `statements.op_length`.
    """
    one = ROWS if words > FEW else 1
    other = ROWS if bits > FEW // 8 else 1
    all_ = rounds(Shape(-(-words // one) + longer, one), Shape(8 * -(-bits // other), other))
    return sum(one.after + one.before for one in all_), len(all_)


class Wrong(Exception):  # noqa: N818  # says what it is
    """Why a check fails, until it is reported."""


class Folding:
    """One inner product that is being folded: pieces of its factors (48, n) and of what it should be (48)."""

    def __init__(self, statement: Statement, generator: Generator, device: torch.device) -> None:
        self.ring = statement.ring
        self._statement: Statement | None = statement if statement.rows > 1 else None
        self.total, self._rest = statement.begin(generator, device)
        self.shape = Shape(statement.length, statement.rows)
        self.counts = folds(statement.length, statement.rows)
        self._x: Parts
        self._y: Parts
        if statement.rows == 1:
            one = self.ring.powers(self.ring.zeros(DEGREE, like=self.total[0]), 1)
            self._join(statement, one, one)

    def summands(self, extra: tuple[Parts, Parts] | None) -> Tensor:
        """This party's summands of h's coefficients but the middle one; ``extra``: the pair, at the last fold."""
        if self._statement is not None:
            self._middle = self._statement.rows - 1
            return self._coefficients(self._statement.products().flip(2))
        count = self._x[0].shape[1] if extra is not None else self.counts[0]
        self._middle = count - 1
        self._x, self._y = self._blocks(self._x, count), self._blocks(self._y, count)
        if extra is not None:
            self._x, self._y = _added(self._x, extra[0]), _added(_reversed(self._y), extra[1])
            return self._coefficients(self.ring.gram(self._x, self._y))
        if count == 2:  # all but the middle
            some = (self.ring.gram(_block(self._x, k), _block(self._y, 1 - k))[:, 0] for k in range(2))
            return torch.cat(list(some), 1)
        return self._coefficients(self.ring.gram(self._x, self._y).flip(2))

    def _blocks(self, parts: Parts, count: int) -> Parts:
        missing = -parts[0].shape[1] % count
        if missing:
            parts = torch.nn.functional.pad(parts[0], (0, missing)), torch.nn.functional.pad(parts[1], (0, missing))
        return parts[0].reshape(DEGREE, count, -1), parts[1].reshape(DEGREE, count, -1)

    def _coefficients(self, table: Tensor) -> Tensor:
        """Coefficients (48, C) of h, the middle one left out, from products (48, K, K) of those of f and g."""
        count = table.shape[1]
        places = torch.arange(count, device=table.device)
        out = self.ring.zeros(DEGREE, 2 * count - 1, like=table)
        out.index_add_(1, (places.unsqueeze(1) + places).reshape(-1), table.flatten(1))
        if self.ring.is_bit:
            out.bitwise_and_(1)
        return torch.cat([out[:, : self._middle], out[:, self._middle + 1 :]], 1)

    def fold(self, products: Parts, r: Tensor) -> None:
        """Go on with the values at r; products: pieces of h's coefficients."""
        ring, cut = self.ring, self._middle
        whole = [
            torch.cat([known[:, :cut], middle.unsqueeze(1), known[:, cut:]], 1).unsqueeze(2)
            for known, middle in zip(products, self.total, strict=True)
        ]
        powers = ring.powers(r, whole[0].shape[1])
        self.total = ring.combined(powers, whole[0])[:, 0], ring.combined(powers, whole[1])[:, 0]
        if self._statement is not None:
            some = powers[:, : self._statement.rows]
            self._join(self._statement, some, some.flip(1))
            self._statement = None
        else:
            last = not self.counts
            self._x = ring.at(r, self._x[0]), ring.at(r, self._x[1])
            self._y = ring.at(r, self._y[0], falling=not last), ring.at(r, self._y[1], falling=not last)
        self.counts = self.counts[1:]

    def _join(self, statement: Statement, first: Tensor, second: Tensor) -> None:
        """Take up what is left once the rows are folded, bilinear operations among it."""
        plus = self.ring.plus
        self._x, self._y = statement.folded(first, second)
        self.total = plus(self.total[0], self._rest[0]), plus(self.total[1], self._rest[1])

    @property
    def ends(self) -> tuple[Parts, Parts]:
        """Pieces of f(r) and g(r), (48, 1) each, after the last fold."""
        return self._x, self._y


def _block(parts: Parts, k: int) -> Parts:
    """One block (48, 1, n) of (48, K, n)."""
    return parts[0][:, k : k + 1], parts[1][:, k : k + 1]


def _reversed(parts: Parts) -> Parts:
    """Blocks (48, K, n), the last one first."""
    return parts[0].flip(1), parts[1].flip(1)


def _added(parts: Parts, more: Parts) -> Parts:
    """Blocks (48, K, n) with one more, of one element."""
    one, other = (torch.cat([part, last.reshape(DEGREE, 1, 1)], 1) for part, last in zip(parts, more, strict=True))
    return one, other


class Checker:
    """Makes the checks of one rank; all ranks that compute call it at once."""

    def __init__(self, p: Pieces) -> None:
        self._p = p
        self._alone = isinstance(p.party, SoloParty)  # what peers say is made up
        self._common = [sha256(), sha256()]

    def compare(self, index: int, octets: bytes | memoryview) -> None:
        """Note bytes that the holders of piece ``index`` have in common; who does not hold it may pass anything.

        All ranks call this in the same order. The next check compares digests of all that was noted.
        """
        place = (index - self._p.party.rank) % 3
        if place < 2 and not self._p.virtual:
            self._common[place].update(len(octets).to_bytes(8, "big"))
            self._common[place].update(octets)

    def check(self, label: str, agreed: bytes) -> None:
        """Check all claims that wait, on all three parties. Raises DisagreementError, and ends the session.

        ``agreed``: 32 bytes that all parties must have alike, a digest of the program and of what comes next. Cost: see
        `check_cost`; without claims the round of digests.
        """
        p, claims = self._p, self._p.claims.waiting
        p.claims.waiting, p.claims.terms = [], 0
        if (p.virtual or p.party.role is not Role.COMPUTING) and not isinstance(p.party, DryParty):
            return
        statements = [Statement(is_bit, claims) for is_bit in (False, True)]
        words, bits = (Shape(one.length, one.rows) for one in statements)
        plan = rounds(words, bits)
        if isinstance(p.party, DryParty):
            for one in plan:
                sizes = {1: one.after, 2: one.before}
                p.party.round(
                    {r: {(r + step) % 3: size for step, size in sizes.items() if size} for r in range(3)}, one.label
                )
            return
        self._label, self._plan = label, plan[::-1]
        try:
            self._equal(label, agreed)
            if any(one.result[0].is_meta for one in claims):
                for one in plan[1:]:
                    self._exchange(bytes(one.after), bytes(one.before))
            elif len(plan) > 1:
                self._prove([one for one in statements if one.length])
        except Wrong as wrong:
            failure = DisagreementError(f"{label}: the check of all products failed: {wrong}; nothing is revealed")
            self._end(failure)
        except JointfitError:  # a peer's: nothing follows here either
            p.close()
            raise

    def _end(self, failure: DisagreementError) -> NoReturn:
        self._p.close()
        self._p.party.fail(failure)
        raise failure from None

    def _equal(self, label: str, agreed: bytes) -> None:
        """Compare what all have alike with both peers, and with each what the two hold alike. One round.

        Nobody goes on before both others have all that was sent to them, so that coins come too late for messages.
        """
        rank = self._p.party.rank
        own, next_ = (one.digest() for one in self._common)
        heard = self._exchange(agreed + next_, agreed + own, f"{label}\0{self._p.program}")
        for peer, theirs, mine in (((rank + 2) % 3, heard[0], own), ((rank + 1) % 3, heard[1], next_)):
            if self._alone:
                continue
            if not hmac.compare_digest(theirs[:SIZE], agreed):
                self._end(disagreement(label, rank, peer))
            if not hmac.compare_digest(theirs[SIZE:], mine):
                raise Wrong(f"rank {rank} and rank {peer} hold different pieces of what both were sent")

    # ---- messages ------------------------------------------------------------------------------------------------

    def _exchange(self, after: bytes, before: bytes, context: str = "") -> tuple[bytes, bytes]:
        """The next round: what goes to the party after this one, and to the one before. Returns what those two say."""
        p, plan = self._p, self._plan.pop()
        if (len(after), len(before)) != plan[1:]:
            raise RuntimeError(f"{plan.label}: {len(after)} and {len(before)} bytes; planned {plan[1:]}")
        following, previous = (p.party.rank + 1) % 3, (p.party.rank + 2) % 3
        outgoing = {rank: data for rank, data in ((following, after), (previous, before)) if data}
        incoming = {rank: n for rank, n in ((previous, plan.after), (following, plan.before)) if n}
        heard = p.party.exchange(outgoing, incoming, plan.label, context=context)
        return bytes(heard.get(previous, b"")), bytes(heard.get(following, b""))

    def _streams(self, purpose: str) -> list[Generator]:
        """Generators of this party's two pieces of pseudo-random shares."""
        rank, seeds = self._p.party.rank, cast(Seeds, self._p.seeds)
        return [seeds.stream(peer, purpose) for peer in ((rank + 2) % 3, (rank + 1) % 3)]

    def _coin(self) -> Generator:
        """A generator that all three have in common, of a seed that nobody knew. One round."""
        own, next_ = (bytes(one.take(SEED_SIZE)) for one in self._streams("coin"))
        whole, digest = self._exchange(own, sha256(next_).digest())
        rank = self._p.party.rank
        if not self._alone and not hmac.compare_digest(sha256(whole).digest(), digest):
            raise Wrong(f"rank {(rank + 1) % 3} and rank {(rank + 2) % 3} sent different pieces of a coin; one lies")
        seed = bytes(a ^ b ^ c for a, b, c in zip(own, next_, whole, strict=True))
        return Generator(sha256(seed).digest())

    def _random(self, ring: Extension) -> Parts:
        """Pieces (48) of an element that nobody knows. No message."""
        p = self._p
        own, next_ = (p.word(torch.Size([DEGREE]), one, is_bit=ring.is_bit) for one in self._streams("pair"))
        return own, next_

    def _point(self, ring: Extension, generator: Generator) -> Tensor:
        """A uniform element of the exceptional set that is not zero."""
        while True:
            r = ring.draw(generator, 1)[:, 0]
            if r.any():
                return r.to(self._p.device)

    # ---- the proof -------------------------------------------------------------------------------------------------

    def _prove(self, statements: Sequence[Statement]) -> None:
        generator = self._coin()
        foldings = [Folding(one, generator, self._p.device) for one in statements]
        longest = max(len(one.counts) for one in foldings) + 1
        for k in range(longest):
            some = [one for one in foldings if len(one.counts) + 1 >= longest - k]
            pairs = [(self._random(one.ring), self._random(one.ring)) if k == longest - 1 else None for one in some]
            products = self._shared([one.ring for one in some], [
                one.summands(pair) for one, pair in zip(some, pairs, strict=True)
            ])
            generator = self._coin()
            for one, product in zip(some, products, strict=True):
                one.fold(product, self._point(one.ring, generator))
        self._compare_results(foldings)

    def _shared(self, rings: Sequence[Extension], summands: Sequence[Tensor]) -> list[Parts]:
        """Pieces of what all have summands of. One round."""
        p = self._p
        own = [
            ring.plus(one, p.fresh_zero(one.shape, is_bit=ring.is_bit))
            for ring, one in zip(rings, summands, strict=True)
        ]
        message = b"".join(self._bytes(one) for one in own)
        heard, place, out = self._exchange(b"", message)[1], 0, []
        for one in own:
            theirs, place = self._tensor(heard, place, one.shape, one.dtype)
            out.append((one, theirs))
        return out

    def _bytes(self, x: Tensor) -> bytes:
        x = self._p.memory.to_host(x.reshape(-1))
        return bytes(as_bytes(pack_bits(x) if x.dtype == torch.uint8 else x))

    def _tensor(self, octets: bytes, place: int, shape: torch.Size, dtype: torch.dtype) -> tuple[Tensor, int]:
        n = shape.numel()
        size = n // 8 if dtype == torch.uint8 else 8 * n
        flat = torch.frombuffer(bytearray(octets[place : place + size]), dtype=dtype)
        x = unpack_bits(flat, n) if dtype == torch.uint8 else flat
        return self._p.memory.from_host(x.reshape(shape)), place + size

    def _compare_results(self, foldings: Sequence[Folding]) -> None:
        """Open f(r) and g(r); what this party lacks of h(r) must be f(r) g(r) less what it has: digests tell."""
        rank = self._p.party.rank
        ends = [torch.cat([part[k] for part in one.ends], 1) for one in foldings for k in range(2)]
        wholes = [b"".join(self._bytes(one) for one in ends[k::2]) for k in range(2)]
        digests = [
            sha256(wholes[k] + b"".join(self._bytes(one.total[k]) for one in foldings)).digest() for k in range(2)
        ]
        told, digest = self._exchange(wholes[0] + digests[0], digests[1])
        whole, other = told[:-DIGEST], told[-DIGEST:]
        place, rest = 0, []
        for k, one in enumerate(foldings):
            ring = one.ring
            theirs, place = self._tensor(whole, place, ends[2 * k].shape, ring.dtype)
            f, g = ring.plus(ring.plus(ends[2 * k], ends[2 * k + 1]), theirs).unbind(1)
            value = ring.times(f.unsqueeze(1), g.unsqueeze(1))[:, 0]
            rest.append(self._bytes(ring.minus(ring.minus(value, one.total[0]), one.total[1])))
        expected = sha256(whole + b"".join(rest)).digest()
        if self._alone:
            return
        if not hmac.compare_digest(digest, other):
            raise Wrong(f"rank {(rank + 1) % 3} and rank {(rank + 2) % 3} sent different pieces; one of them lies")
        if not hmac.compare_digest(digest, expected):
            raise Wrong("something was sent that is not what it has to be, by which party is not known")
