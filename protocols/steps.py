"""What protocol steps are written with: shares that steps will fill, masks, openings, masked forms.

`Engine` inherits this; the steps in the other files call it. Nothing here knows any particular operation.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Generator, Sequence
from typing import Any, ClassVar, cast
from typing import Protocol as Interface

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from protocols.additive_share import AdditiveShare, BitForm, derived
from protocols.base import Share
from protocols.correlations.dealer import Deal, Output
from protocols.form import Form, Mask, join_forms
from protocols.memory import Memory
from protocols.ring import outline
from protocols.schedule import Awaitable, Opening, Scheduled, Step
from protocols.wire import pack_bits, unpack_bits

VIEW_RATIO = 8
"""A view of an intermediate value that is this many times smaller is opened by itself; an input as a whole."""

KEEP_LIMIT = 1 << 25
"""Elements (256 MiB) up to which an input is opened as a whole when the first of its rows is used."""


class Dealing(Interface):
    """An `Awaitable`: a correlation that was asked for, whose share is there once it is ready."""

    mask: Mask


class Dealt(Awaitable):
    """A correlation that is there."""

    __slots__ = ("mask",)

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self.mask = mask
        self.ready = True


class Steps(Scheduled, abc.ABC):
    """The tools of protocol steps.

    ``device``: where parts lie; ``first``: rank 0; ``virtual``: client, dealer or planner, where parts are shapes only;
    ``exact``: parts come with MACs, so that nothing but linear functions can be computed on them.
    """

    device: torch.device
    memory: Memory
    first: bool
    virtual: bool
    early: ClassVar[bool] = False
    """Whether correlations travel in rounds, so that they are better asked for before an opening than after it."""
    exact: ClassVar[bool] = False

    @abc.abstractmethod
    def mask(self, shape: Sequence[int], dtype: torch.dtype = torch.int64, owner: int | None = None) -> Mask:
        """Return a fresh uniform mask, which the rank that deals knows alone; or ``owner``, too. No message."""

    def base(self, count: int) -> int:
        """Bits of a digit in comparisons of ``count`` values, and inputs of an AND.

        Larger ones take fewer rounds and more correlations.
        """
        return 4

    @abc.abstractmethod
    def deal(self, masks: Sequence[Mask], output: Output, function: Deal) -> Dealing:
        """Have function(*masks) shared by the rank that knows the masks."""

    def open(
        self,
        part: Tensor,
        mask: Mask,
        width: int | None = 8,
        sender: int | None = None,
        after: int | None = None,
    ) -> Opening:
        """Queue an opening of part + mask: ``width`` bytes of each int64 word; or of packed bits xor mask (None).

        ``sender``: the rank that knows value and mask alone, and sends their sum; others get it. ``after``: what the
        part depends on, if not on all that the running step used.
        """
        if not self.virtual and not mask.empty:
            part = part ^ mask.share if width is None else part + mask.share
        return self.queue(self.opening(part, width, sender), after)

    def opening(self, part: Tensor, width: int | None, sender: int | None) -> Opening:
        """An opening of masked parts; see `open`."""
        return Opening(part, width, sender)

    def queue(self, opening: Opening, after: int | None = None) -> Opening:
        """Have something opened in the next round; see `Scheduler.queue`."""
        return self.scheduler.queue(opening, after)

    def part(self, shape: Sequence[int], compute: Callable[[], Tensor], dtype: torch.dtype = torch.int64) -> Tensor:
        """Return what a computing party computes; on other ranks and the planner a meta tensor, without computing."""
        return outline(shape, dtype) if self.virtual else compute()

    def public(self, value: Tensor) -> Tensor:
        """This rank's part of public words or bits (packed or not): the first party's is the value itself."""
        return value if self.first or self.virtual else torch.zeros_like(value)

    def add_public(self, part: Tensor, value: Tensor) -> Tensor:
        """Add a public value to a sharing: the first party does."""
        return part + value if self.first or self.virtual else part

    def add_public_(self, part: Tensor, value: Tensor) -> Tensor:
        """The same in the memory of ``part``, which is nobody else's."""
        return part.add_(value) if self.first else part

    def flip(self, part: Tensor, value: Tensor) -> Tensor:
        """Add a public value to a sharing of bits: the first party does."""
        return part ^ value if self.first and not self.virtual else part

    def make(self, shape: torch.Size, bits: int, step: Step, *, is_bit: bool = False) -> AdditiveShare:
        """Make a share whose part (or part and form) the step will return."""
        out = AdditiveShare(shape, bits, is_bit)

        def finish(result: Tensor | tuple[Tensor, Form]) -> None:
            if isinstance(result, tuple):
                out.data, out.form = result
            else:
                out.data = result
            if out.data.shape != shape:
                raise RuntimeError(f"step gave {tuple(out.data.shape)} for a share of {tuple(shape)}")
            self.scheduler.release(out)  # type: ignore[arg-type]  # a share can be waited for

        self.scheduler.start(step, finish)
        return out

    def defer(self, shape: torch.Size, bits: int, compute: Callable[[], Share], *, is_bit: bool = False) -> Share:
        """Make a share that is computed only if somebody uses it."""
        out = AdditiveShare(shape, bits, is_bit)

        def start() -> None:
            inner = cast(AdditiveShare, compute())

            def step() -> Step:
                yield from self.value(inner)
                out.origin = derived(inner, lambda f: f, derive_bits=lambda f: f, whole=True)
                out.form = inner.form
                out.data = inner.part

            self.scheduler.start(step(), lambda _: self.scheduler.release(out))  # type: ignore[arg-type]

        out.start = self.scheduler.bound(start)
        return out

    def value(self, x: AdditiveShare) -> Generator[Any, None, Tensor]:
        """Step: wait for the part of x."""
        x.begin()
        yield x
        return x.part

    def masked(self, x: AdditiveShare) -> Generator[Any, None, Form]:
        """Step: the form x = public - mask. Opens x, or what x is a view of, unless that was done before.

        Reveals nothing: the mask is uniform and used for this value alone. Cost: 8 bytes an element, one round, once;
        of an input only its owner sends them.
        """
        yield from self.value(x)
        if x.clean is None:
            root = yield from self._covered(x)
            if root.opening is not None:
                opening = root.opening
                yield opening
                if root.clean is None:
                    root.clean = Form(cast(Tensor, opening.value), [(-1, root.facts.pop("mask"))])
                    root.opened = opening.after
                    root.opening = root.origin = None
            if x.clean is None:
                x.inherit()
            if "early" in x.facts:
                cast(Form, x.clean).mask.facts.update(x.facts.pop("early").facts)
        self.scheduler.uses(x.opened)
        return cast(Form, x.clean)

    def _covered(self, x: AdditiveShare) -> Generator[Any, None, AdditiveShare]:
        """Step: what x takes its masked form from, which is open or on its way."""
        root = x.known()
        if root is None:
            root = x.root()
            if root.numel > (KEEP_LIMIT if root.keep else VIEW_RATIO * x.numel):
                root = x
            yield from self.value(root)
            self._open_masked(root)
        return root

    def covering(self, x: AdditiveShare) -> Generator[Any, None, Mask | None]:
        """Step: begin to open x. Its mask, if that is known before and correlations take a round; else None."""
        if not self.early:
            return None
        yield from self.value(x)
        if x.clean is not None:
            return x.clean.mask
        if "early" not in x.facts:
            root = yield from self._covered(x)
            mask = root.facts.get("mask")
            if root is x or mask is None:
                return mask
            x.facts["early"] = x.derived(root, mask)
        return cast(Mask, x.facts["early"])

    def _open_masked(self, x: AdditiveShare) -> None:
        """Begin to open x under a fresh mask; what was joined from inputs, or where some parts are open, part by part.

        Of an input only its owner sends the sum of value and mask.
        """
        joined, x.joined = x.joined, None
        if joined is None or not (x.keep or any(part.known() for part in joined.parts)):
            mask = self.mask(x.shape, owner=x.owner)
            x.opening = self.open(x.facts.pop("plain", x.part), mask, sender=x.owner, after=x.after)
            x.facts["mask"] = mask
            return
        x.opening = opening = Opening(x.part, 8)  # opens with its parts; never queued itself

        def step() -> Step:
            for part in joined.parts:
                if part.known() is None:
                    root = part.root()
                    self._open_masked(root if root.numel == part.numel else part)
            forms = list[Form]()
            for part in joined.parts:
                form = yield from self.masked(part)
                forms.append(form)
            return join_forms(forms, joined.move)

        def finish(form: Form) -> None:
            x.clean, x.opened = form, self.scheduler.after()
            x.opening = x.origin = None
            self.scheduler.release(opening)

        self.scheduler.start(step(), finish)

    def any_form(self, x: AdditiveShare) -> Generator[Any, None, Form]:
        """Step: some masked form of x, for elementwise products; opens x if it has none."""
        yield from self.value(x)
        if x.form is not None and (x.clean is None or not x.form.terms):
            return x.form
        return (yield from self.masked(x))

    def masked_bit(self, b: AdditiveShare) -> Generator[Any, None, BitForm]:
        """Step: the form b = public xor mask. Cost: one bit an element, one round, once. Reveals nothing."""
        yield from self.value(b)
        if b.bit_form is None:
            root = yield from self._covered_bit(b)
            if root.opening is not None:
                opening = root.opening
                yield opening
                if root.bit_form is None:
                    public = unpack_bits(cast(Tensor, opening.value), root.numel).reshape(root.shape)
                    root.bit_form = BitForm(public, root.facts.pop("mask"))
                    root.opened = opening.after
                    root.opening = root.origin = None
            if b.bit_form is None:
                b.inherit()
        self.scheduler.uses(b.opened)
        return cast(BitForm, b.bit_form)

    def _covered_bit(self, b: AdditiveShare) -> Generator[Any, None, AdditiveShare]:
        """Step: what b takes its masked form from, which is open or on its way."""
        root = b.known() or b.root()
        if root.bit_form is None and root.opening is None:
            yield from self.value(root)
            n = root.numel
            packed = self.mask([(n + 7) // 8], torch.uint8)
            flat = pack_bits(root.part.reshape(-1))
            root.opening = self.open(flat, packed, None, after=root.after)
            root.facts["mask"] = packed.map(lambda m: unpack_bits(m, n).reshape(root.shape))
        return root

    def covering_bit(self, b: AdditiveShare) -> Generator[Any, None, Mask | None]:
        """Step: begin to open b. Its mask, if b is opened by itself and correlations take a round; else None."""
        if not self.early:
            return None
        yield from self.value(b)
        if b.bit_form is not None:
            return b.bit_form.mask
        root = yield from self._covered_bit(b)
        return cast("Mask | None", root.facts.get("mask")) if root is b else None

    def local(
        self,
        inputs: Sequence[AdditiveShare],
        bits: int,
        compute: Callable[..., Tensor],
        *,
        is_bit: bool = False,
        shape: Sequence[int] | None = None,
        form: Callable[[Form], Form] | None = None,
    ) -> AdditiveShare:
        """Make a share by a function of parts alone, now if they are there. ``shape`` saves finding it out.

        ``form`` maps the masked form of a single input, if it has one, to that of the result.
        """
        if self.virtual and shape is not None:
            size, dtype = tuple(shape), torch.uint8 if is_bit else torch.int64
            compute = lambda *_: outline(size, dtype)  # noqa: E731
        if all(x.ready for x in inputs):
            data = compute(*(x.part for x in inputs))
            out = AdditiveShare(data.shape, bits, is_bit)
            out.data, out.ready = data, True
            out.after = self.scheduler.after(*(x.after for x in inputs))
            if form is not None and inputs[0].form is not None:
                out.form = form(inputs[0].form)
            return out
        if shape is None:
            with _disable_current_modes():  # nothing is computed that anybody should observe
                shape = compute(*(outline(x.shape, x.dtype) for x in inputs)).shape

        def step() -> Step:
            for x in inputs:
                yield from self.value(x)
            part = compute(*(x.part for x in inputs))
            return part if form is None or inputs[0].form is None else (part, form(inputs[0].form))

        return self.make(torch.Size(shape), bits, step(), is_bit=is_bit)

