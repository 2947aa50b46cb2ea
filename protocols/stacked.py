"""Parts that are more than a word or a bit: tensors that hold several tensors of their shape."""

from __future__ import annotations

from torch import Tensor


class Stacked(Tensor):
    """A tensor whose numbers lie in ``planes``, (..., *shape). What packs bits, or multiplies, asks for these."""

    planes: Tensor
