"""What every protocol offers: shares, the operations on them, and what each operation costs.

A `Share` is a handle on one secret tensor. It is immutable: an operation makes a new share, and whatever is
learned about a share (its masked form, the bit x > 0 that a ReLU computed, ...) may be kept in ``facts`` for
later use, because it stays true. Where the values are is the protocol's business: a computing party holds its
part, clients, a dealer and a planner hold shapes only, the plain protocol holds the values themselves.

Values are fixed point: a share with ``bits = k`` stands for the real numbers data / 2^k. Products add the bits of
their operands and are rescaled only when something needs it; every operation does this by itself.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from parties import ConfigurationError
from parties.needs import NEEDS, Needs
from protocols.trust import Trust

if TYPE_CHECKING:
    from protocols.dependencies import Dependencies
    from protocols.recorder import Recorder

Structural = Callable[[Tensor], Tensor]
"""A map that only selects, repeats, moves or zero-fills elements (reshape, index, pad, flip, ...)."""


@dataclass(frozen=True)
class Bilinear:
    """A product: ``apply(a, b)`` is linear in each operand and runs on int64, float64 and meta tensors.

    ``name`` goes into the digest that ranks compare, so it must tell apart products with different constants.

    >>> outer = protocols.Bilinear("outer", lambda a, b: a.unsqueeze(1) * b)
    >>> outer.shape([2], [3])
    torch.Size([2, 3])
    """

    name: str
    apply: Callable[[Tensor, Tensor], Tensor]
    sizes: Callable[[Sequence[int], Sequence[int]], Sequence[int] | None] | None = None
    """The shape of the result where a formula is at hand; torch's meta tensors, which give it otherwise, are slow."""

    convolution: Callable[[Sequence[int], Sequence[int]], Any] | None = None
    """Which convolution it is for operands of the shapes given: `ring.Convolution`."""

    def shape(self, x: Sequence[int], y: Sequence[int]) -> torch.Size:
        """Return the shape of the result for operands of the shapes given."""
        known = self.sizes(x, y) if self.sizes is not None else None
        if known is not None:
            return torch.Size(known)
        with _disable_current_modes():  # nothing is computed that anybody should observe
            sizes = (torch.empty(tuple(s), dtype=torch.int64, device="meta") for s in (x, y))
            return self.apply(*sizes).shape


@dataclass(frozen=True)
class Cost:
    """What an operation sends: bytes of the busiest computing party, rounds, and bytes that the dealer sends.

    >>> from protocols.costs import COSTS
    >>> COSTS["multiply"](1000)
    Cost(bytes=16000, rounds=1, offline=8000)
    """

    bytes: int
    rounds: int
    offline: int = 0


class Share:
    """A secret tensor. Shows its shape and its sharing, never a value.

    Attributes: ``shape``; ``bits``, the fraction bits; ``is_bit``, true for secret truth values (bits is 0);
    ``facts``, notes that hold as long as the share does.

    >>> protocols.Share(torch.Size([2, 3]), bits=20)
    Share(shape=(2, 3), bits=20)
    """

    __slots__ = ("__weakref__", "bits", "facts", "is_bit", "shape")

    def __init__(self, shape: torch.Size, bits: int, is_bit: bool = False) -> None:
        self.shape = shape
        self.bits = bits
        self.is_bit = is_bit
        self.facts: dict[Any, Any] = {}

    @property
    def numel(self) -> int:
        """Number of elements."""
        return self.shape.numel()

    def __repr__(self) -> str:
        kind = "bit" if self.is_bit else f"bits={self.bits}"
        return f"{type(self).__name__}(shape={tuple(self.shape)}, {kind})"

    def __reduce__(self) -> Any:
        raise TypeError("a share is not pickled: save it with session.save_module, or reveal it")


class Operations(abc.ABC):
    """Operations on shares. ``bits`` is the precision (fraction bits) that operands are brought to.

    ``device`` is where this rank's parts live. Shapes broadcast as in torch. Every method returns at once, see
    `Protocol`.
    """

    bits: int
    device: torch.device

    def note(self, what: bytes) -> None:  # noqa: B027  # a protocol in one process has nobody to compare with
        """Take part of the program (an operation, a public operand) into the digest that ranks compare all along."""

    def bound(self, compute: Callable[[], Any]) -> Callable[[], Any]:
        """What is computed later, if at all: whoever follows dependencies learns when the program asked for it."""
        return compute

    @abc.abstractmethod
    def constant(self, value: Tensor, bits: int) -> Share:
        """Make a share of an int64 tensor that every rank knows. It hides nothing."""

    # ---- local: no message -------------------------------------------------------------------------------------

    @abc.abstractmethod
    def add(self, x: Share, y: Share) -> Share:
        """x + y; the operand with fewer bits is scaled up, or the other rescaled where the range forbids that."""

    @abc.abstractmethod
    def negate(self, x: Share) -> Share:
        """Return -x."""

    def subtract(self, x: Share, y: Share) -> Share:
        """x - y."""
        return self.add(x, self.negate(y))

    @abc.abstractmethod
    def add_constant(self, x: Share, value: Tensor, bits: int) -> Share:
        """x + value / 2^bits for a public int64 tensor."""

    @abc.abstractmethod
    def scale(self, x: Share, value: Tensor, bits: int, to: int | None = None) -> Share:
        """x * value / 2^bits for a public int64 tensor, elementwise; the result has x.bits + bits bits.

        ``to``: the result has so many instead, by one opening, in which the product leaves no range; ``value`` is then
        one number below 2^31.
        """

    def defer(self, shape: torch.Size, bits: int, compute: Callable[[], Share], *, is_bit: bool = False) -> Share:
        """Make the share that ``compute`` gives, or one that is computed only if somebody uses it."""
        return compute()

    @abc.abstractmethod
    def shift(self, x: Share, power: int) -> Share:
        """x * 2^power, by relabelling the fraction bits: exact, free, for any integer power."""

    @abc.abstractmethod
    def structural(self, x: Share, move: Structural) -> Share:
        """Apply a structural map. Works on bits too. Keeps the masked form, so products of views open nothing again."""

    @abc.abstractmethod
    def join(self, shares: Sequence[Share], move: Callable[[list[Tensor]], Tensor]) -> Share:
        """Apply a structural map that takes several tensors (cat, stack, index_put); bits are brought to one value."""

    @abc.abstractmethod
    def linear(
        self, x: Share, function: Callable[[Tensor], Tensor], *, shape: Sequence[int] | None = None
    ) -> Share:
        """Apply a linear map with integer coefficients (sum, cumsum, ...). ``shape``: of the result, if it is known."""

    @abc.abstractmethod
    def linear_public(self, x: Share, value: Tensor, bits: int, op: Bilinear) -> Share:
        """op(x, value / 2^bits) for a public int64 tensor ``value``: a product with public weights."""

    # ---- products ----------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def multiply(self, x: Share, y: Share) -> Share:
        """x * y elementwise. A bit counts as 0 or 1, and is brought to arithmetic form first."""

    @abc.abstractmethod
    def product(self, x: Share, y: Share, op: Bilinear) -> Share:
        """op(x, y) for a bilinear op: matrix product, convolution, and their gradients."""

    @abc.abstractmethod
    def rescale(self, x: Share, bits: int, *, faithful: bool = False) -> Share:
        """Bring x to ``bits`` fraction bits: off by at most one unit; exactly floor(x * 2^bits) where faithful."""

    # ---- bits --------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def negative(self, x: Share) -> Share:
        """Bit x < 0."""

    @abc.abstractmethod
    def zero(self, x: Share) -> Share:
        """Bit x == 0."""

    @abc.abstractmethod
    def invert(self, b: Share) -> Share:
        """Not b."""

    @abc.abstractmethod
    def both(self, b: Share, c: Share) -> Share:
        """b and c."""

    @abc.abstractmethod
    def differ(self, b: Share, c: Share) -> Share:
        """b xor c."""

    def either(self, b: Share, c: Share) -> Share:
        """b or c."""
        return self.invert(self.both(self.invert(b), self.invert(c)))

    @abc.abstractmethod
    def integer(self, b: Share) -> Share:
        """Return the bit as the number 0 or 1 (bits 0)."""

    @abc.abstractmethod
    def gate(self, b: Share, x: Share) -> Share:
        """x where b, else 0; a pending rescaling of x shares its opening."""

    def choose(self, b: Share, x: Share, y: Share) -> Share:
        """x where b, else y."""
        return self.add(y, self.gate(b, self.subtract(x, y)))

    def relu(self, x: Share) -> tuple[Share, Share]:
        """Return x where it is positive, else 0, and the bit x > 0. A pending rescaling of x is done first.

        The bit may be that of the rescaled number, which is off by one unit at most.
        """
        positive = self.negative(self.negate(x))
        return self.gate(positive, x), positive

    # ---- functions: domains, errors and costs stand at the implementations -------------------------------------

    @abc.abstractmethod
    def exp(self, x: Share) -> Share:
        """e^x; 0 far below, saturated at the top of the range."""

    @abc.abstractmethod
    def scaled(self, x: Share, function: str) -> Share:
        """reciprocal, sqrt, rsqrt or log of positive values, by normalisation (see `smooth`)."""

    @abc.abstractmethod
    def periodic(self, x: Share, function: str) -> Share:
        """Sin or cos of x in radians."""

    @abc.abstractmethod
    def interval(self, x: Share, function: str) -> Share:
        """A function that is smooth on an interval and linear outside it: sigmoid, tanh, gelu, ... (see `smooth`)."""

    @abc.abstractmethod
    def maximum(self, x: Share, dim: int) -> tuple[Share, Share]:
        """Return the largest value along dim (which stays, with size 1) and its one-hot bits; the first wins a tie."""

    @abc.abstractmethod
    def sort(self, x: Share, dim: int, *, descending: bool = False) -> tuple[Share, Share]:
        """Sort along dim, stably; also returns the indices as integers (bits 0)."""


class Protocol(Operations):
    """The operations that `mpc` is written on. ``bits`` is the precision (fraction bits) that operands are brought to.

    ``device`` is where this rank's parts live; public tensors that are passed may be there or on the host, and what
    `reveal` and `export` return is on the host.

    Shapes broadcast as in torch. Every method returns at once; messages are queued and sent together when a value
    is first needed (`Protocol.settle`), so independent operations share rounds. Every rank, the dealer and the
    planner included, calls the same methods in the same order with the same public arguments.

    Range: a value x with b bits must satisfy |x| * 2^b < 2^62. With 20 fraction bits a product, and what is added
    to one, must stay below 2^20: it carries up to 42 bits until it is rescaled.

    >>> p = protocols.make("plain")  # every method works alike in `Additive`
    >>> x = p.share(torch.tensor([-(1 << 20), 2 << 20]), torch.Size([2]), bits=20, owner=0)
    >>> positive = p.invert(p.negative(x))
    >>> relu = p.gate(positive, x)
    >>> p.reveal(relu) >> 20, p.reveal(positive)
    (tensor([0, 2]), tensor([False,  True]))
    """

    name: ClassVar[str]
    needs: ClassVar[Needs] = Needs()
    """How many computing parties, and whether a dealer; known before a protocol is made, and to `Registry.needs`."""
    before_reveal: Callable[[Sequence[int], bytes], None] | None = None
    """Called before this rank takes part in a reveal, with the receivers and the transcript's digest; may refuse."""

    @property
    def trust(self) -> Trust:
        """What one relies on. A protocol that does not say it is taken to protect nothing."""
        return Trust(False, "none", open=(f"The protocol {self.name} does not say what it protects.",))

    @property
    def offline_bytes(self) -> int:
        """Bytes of correlated randomness that were asked for so far."""
        return 0

    def watch(self, recorder: Recorder | None) -> None:  # a protocol in one process sends nothing
        """Tell a recorder from now on what is opened and dealt, and where from; None: nobody any more."""

    def follow(self, dependencies: Dependencies) -> None:  # nor does it open anything
        """Tell from now on what every opening depends on. Raises ConfigurationError the second time."""

    def finish(self) -> None:  # a protocol that holds nothing has nothing to do
        """The program ended well: send what waits."""

    def close(self) -> None:
        """End: forget keys, and drop what waits."""

    # ---- in and out -------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def share(self, value: Tensor | None, shape: torch.Size, bits: int, owner: int) -> Share:
        """Share the int64 tensor ``value`` (real value times 2^bits) that only rank ``owner`` passes."""

    @abc.abstractmethod
    def share_bits(self, value: Tensor | None, shape: torch.Size, owner: int) -> Share:
        """Share truth values that only rank ``owner`` passes (a bool tensor)."""

    @abc.abstractmethod
    def reveal(self, x: Share, to: Sequence[int] | None = None, label: str = "reveal") -> Tensor | None:
        """Open x to the ranks in ``to`` (None: all computing parties), None elsewhere.

        int64 with x.bits fraction bits, or bool for bits. The parties compare ``label``, which says what is revealed.
        Raises DisagreementError, and opens nothing, if it or what was opened before differs.
        """

    @abc.abstractmethod
    def settle(self, *shares: Share) -> None:
        """Send what is queued until every share given has its value."""

    @abc.abstractmethod
    def export(self, x: Share) -> Tensor | None:
        """Return this rank's own part of x for storage (int64); None on a rank that holds none."""

    @abc.abstractmethod
    def restore(self, part: Tensor | None, shape: torch.Size, bits: int) -> Share:
        """Make a share again from the parts that `export` gave."""


def same_cell(old: Callable[..., Any], new: Callable[..., Any]) -> bool:
    """Whether two functions or classes are of one name in a notebook, where a cell that is run again makes it anew."""
    return old.__module__ == new.__module__ == "__main__" and old.__qualname__ == new.__qualname__


class Registry:
    """Protocols by name.

    >>> registry = protocols.Registry()
    >>> registry.register("mine", protocols.InsecurePlain)
    >>> registry.names()
    ['mine']
    """

    def __init__(self) -> None:
        self._makers: dict[str, Callable[..., Protocol]] = {}

    def register(self, name: str, maker: Callable[..., Protocol]) -> None:
        """Add a protocol. EXTENDING.md has an example.

        Arguments:
            name: what `mpc.session(protocol=...)` calls it.
            maker: called with a Party and ``bits``, ``rounding``, ``device`` and ``planning``; a class, mostly.

        Raises ConfigurationError for a name that is taken. A class of a notebook takes its own place when its cell is
        run again.
        """
        if name in self._makers and not same_cell(self._makers[name], maker):
            raise ConfigurationError(f"protocol {name!r} is registered already")
        self._makers[name] = maker

    def make(self, name: str, *arguments: Any, **options: Any) -> Protocol:
        """Make the protocol ``name``: its class is called with what else is given, a `Party` first.

        Raises ConfigurationError for an unknown name; the message lists those that are known.

        >>> protocols.make("plain").name
        'plain'
        """
        return self._maker(name)(*arguments, **options)

    def needs(self, name: str) -> Needs:
        """What the protocol ``name`` asks of a run: its class's ``needs``, also where a `functools.partial` calls it.
        Of another function nobody knows before it is called; then what most protocols need, unless it has ``needs``.

        Raises ConfigurationError for an unknown name, as `make` does.

        >>> print(protocols.needs("additive"))
        2 or more computing parties and a dealer
        """
        maker: Any = self._maker(name)
        while isinstance(maker, partial):
            maker = maker.func
        needs: Needs = getattr(maker, "needs", Needs())
        return needs

    def _maker(self, name: str) -> Callable[..., Protocol]:
        if name in self._makers:
            return self._makers[name]
        what = "is not in this version" if name in NEEDS else "is unknown"
        raise ConfigurationError(f"protocol {name!r} {what}; want one of {', '.join(self.names())}")

    def names(self) -> list[str]:
        """Return the names known, in order.

        >>> {"additive", "plain"} <= set(protocols.names())
        True
        """
        return sorted(self._makers)
