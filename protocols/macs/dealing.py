"""Correlations with MACs: what the dealer shares is authenticated when it is shared, so nothing is sacrificed.

Parties expand their parts of values and MACs from the seeds that they have with the dealer, as in
`correlations.dealer`. The last party receives a correction for a dealt word's low 64 bits, 8 bytes, and one for the
MAC, 13 bytes; a mask needs the latter alone. The upper 40 bits of a word are whatever the seeds gave: uniform, and
of no meaning. Of bits the last party receives a correction, and one for each of the 40 planes of the tag.

Security: the dealer is trusted to deal, and sees no opening; n - 1 parties may do anything. Sources: Cramer, Damgård,
Escudero, Scholl, Xing 2018 (SPDZ2k) for words; Nielsen, Nordholt, Orlandi, Burra 2012 for tags of bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from parties import Generator, Party
from protocols.correlations.dealer import Correlations, Deal, Output
from protocols.correlations.source import Source
from protocols.form import Mask
from protocols.macs import keys, wide
from protocols.macs.linear import TAG, Bits, Words
from protocols.memory import Memory
from protocols.ring import outline

VALUE = 8
"""Bytes of the correction of a word's value."""


class Authenticated(Correlations):
    """The stream of authenticated correlations of one session, seen from one rank. ``key``: this rank's part."""

    def __init__(self, party: Party, source: Source | None, memory: Memory) -> None:
        super().__init__(party, source, memory)
        holders = self._streams[: party.computing] if self._is_dealer else [] if self._is_client else self._streams
        self.key = keys.draw(holders, first=party.rank == 0)

    def close(self) -> None:
        super().close()
        self.key.erase()

    # ---- what protocol steps ask for ---------------------------------------------------------------------------

    def plain(self, shape: Sequence[int], dtype: torch.dtype, owner: int) -> Mask:
        """Return a uniform value that ``owner`` and the dealer know; nobody has a part before it is dealt."""
        return super().mask(shape, dtype, owner)

    def mask(self, shape: Sequence[int], dtype: torch.dtype = torch.int64, owner: int | None = None) -> Mask:
        """Return a fresh uniform mask, which nobody but the dealer knows: modulo 2^104, or of bits."""
        output = Output(tuple(shape), dtype)
        elements = output.bytes // output.dtype.itemsize
        self._ask(elements * (wide.SIZE if output.additive else TAG), f"authenticated mask {output.shape} {dtype}")
        if self._virtual:
            return Mask(outline(output.shape, dtype), None)
        if not self._is_dealer:
            return Mask(self._words(output.shape, 0) if output.additive else self._bits(output.shape, 0), None)
        everybody = self._streams[: self._party.computing]
        if output.additive:
            drawn = self._sum(output.shape, everybody)
            self._send_mac(drawn)
            return Mask(outline(output.shape, dtype), wide.low(drawn))
        bits = self._xor(output.shape, everybody)
        self._send_tag(bits)
        return Mask(outline(output.shape, dtype), bits)

    def deal(self, masks: Sequence[Mask], outputs: Sequence[Output], function: Deal) -> list[Mask]:
        """Share function(*masks) with MACs: 21 bytes for each word, 41 for each byte of bits, to the last party."""
        described = f"{function.__module__} {function.__qualname__} {[(o.shape, o.dtype) for o in outputs]}"
        self._ask(sum(_size(output) for output in outputs), described)
        if self._virtual:
            return [Mask(outline(output.shape, _kind(output)), None) for output in outputs]
        if not self._is_dealer:
            return [
                Mask(self._words(o.shape, VALUE) if o.additive else self._bits(o.shape, 1), None) for o in outputs
            ]
        values = function(*(mask.secret for mask in masks))
        return [self._share(value, output) for value, output in zip(values, outputs, strict=True)]

    # ---- a party -----------------------------------------------------------------------------------------------

    @property
    def _virtual(self) -> bool:
        return self.planning or self._is_client

    def _words(self, shape: tuple[int, ...], size: int) -> Words:
        """This party's part of words: what its seed gives, and the last party's corrections, ``size`` of the value."""
        value = self._draw(shape, self._streams[0])
        if not self._is_last:
            mac = self._draw(shape, self._streams[0])
        else:
            count = value[0].numel()
            if size:
                value = wide.carried(value.add_(wide.split(self._receive(Output(shape)))))
            mac = wide.from_bytes(self._receive(Output((count * wide.SIZE,), torch.uint8)), shape)
        return Words(torch.stack([value, mac], 1))

    def _bits(self, shape: tuple[int, ...], size: int) -> Bits:
        planes = torch.empty((1 + TAG, *shape), dtype=torch.uint8, device=self._memory.device)
        planes[0] = self._memory.uniform(shape, self._streams[0], torch.uint8)
        tag = Output((TAG, *shape), torch.uint8)
        if not self._is_last:
            planes[1:] = self._memory.uniform(tag.shape, self._streams[0], torch.uint8)
        else:
            if size:
                planes[0] ^= self._receive(Output(shape, torch.uint8))
            planes[1:] = self._receive(tag)
        return Bits(planes)

    def _draw(self, shape: Sequence[int], stream: Generator) -> Tensor:
        """Uniform words modulo 2^104, from four bytes for each limb."""
        limbs = self._memory.uniform((wide.COUNT, *shape), stream, torch.int32)
        return limbs.to(torch.int64).bitwise_and_(wide.MASK)

    # ---- the dealer --------------------------------------------------------------------------------------------

    def _sum(self, shape: Sequence[int], streams: Sequence[Generator]) -> Tensor:
        total = torch.zeros((wide.COUNT, *shape), dtype=torch.int64, device=self._memory.device)
        for stream in streams:
            total += self._draw(shape, stream)
        return wide.carried(total)

    def _xor(self, shape: Sequence[int], streams: Sequence[Generator]) -> Tensor:
        total = torch.zeros(tuple(shape), dtype=torch.uint8, device=self._memory.device)
        for stream in streams:
            total ^= self._memory.uniform(shape, stream, torch.uint8)
        return total

    def _send_mac(self, value: Tensor) -> None:
        """Have the MAC of wide words sent, less the other parties' parts."""
        mac = wide.times_number(value, self.key.alpha)
        mac -= self._sum(value.shape[1:], self._streams[: self._party.computing - 1])
        self._put(wide.to_bytes(wide.carried(mac)))

    def _send_tag(self, bits: Tensor) -> None:
        tag = self._xor((TAG, *bits.shape), self._streams[: self._party.computing - 1])
        self._put(tag.bitwise_xor_(self.key.spread(bits) & bits))

    def _share(self, value: Tensor, output: Output) -> Mask:
        if tuple(value.shape) != output.shape or value.dtype != output.dtype:
            raise TypeError(f"dealt {value.dtype} {tuple(value.shape)}, declared {output.dtype} {output.shape}")
        everybody = self._streams[: self._party.computing]
        if output.additive:
            drawn = self._sum(output.shape, everybody)
            correction = value.to(torch.int64) - wide.low(drawn)
            self._put(correction)
            self._send_mac(wide.carried(drawn.add_(wide.split(correction))))
        else:
            self._put(self._xor(output.shape, everybody).bitwise_xor_(value))
            self._send_tag(value)
        return Mask(outline(output.shape, _kind(output)), value)


def _size(output: Output) -> int:
    """Bytes of corrections for an output."""
    elements = output.bytes // output.dtype.itemsize
    return elements * (VALUE + wide.SIZE if output.additive else 1 + TAG)


def _kind(output: Output) -> torch.dtype:
    """The type of shares of an output: words have 104 bits whatever they stand for."""
    return torch.int64 if output.additive else output.dtype
