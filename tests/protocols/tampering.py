"""A party that cheats on the wire, in one message at a time."""

import contextlib
import os

import torch

from parties import JointfitError, simulate
from protocols.testing import encode

BITS = 20
X, Y, B = [1.5, -2.0, 3.25, 0.0, -7.5], [2.0, 4.0, -0.5, 1.0, 1.25], [True, False, True, True, False]


def flip(message, earlier, place):
    message[place % len(message)] ^= 1 << place % 8
    return message


def drop(message, earlier, place):
    return bytes(len(message))


def swap(message, earlier, place):
    """The halves of a message change places."""
    half = len(message) // 2
    return message[half:] + message[:half]


def replay(message, earlier, place):
    """What was sent before, as much as fits."""
    old = b"".join(reversed(earlier))
    return (old * (len(message) // max(len(old), 1) + 1))[: len(message)] if old else bytes(len(message))


WAYS = {"flip": flip, "drop": drop, "swap": swap, "replay": replay}


class Wire:
    """Changes the message number ``target`` that a party sends in rounds.

    Where peers get the same message it counts once, and changes for the first of them, or for ``everybody``; where
    messages are ``private``, one to each, every one counts.
    """

    def __init__(self, party, way, target, *, everybody=False, private=False, place=None):
        self.way, self.target, self.everybody, self.private = WAYS[way], target, everybody, private
        self.place = int.from_bytes(os.urandom(4), "big") if place is None else place
        self.sent, self.labels, self.count, self.label, self.changed = [], [], 0, None, False
        self.exchange = party.exchange
        party.exchange = self

    def __call__(self, outgoing, incoming, label, **options):
        outgoing = {rank: bytes(data) for rank, data in outgoing.items()}
        peers = [rank for rank, data in outgoing.items() if data]
        groups = [[rank] for rank in peers] if self.private else [peers if self.everybody else peers[:1]]
        for group in groups if peers else []:
            message = outgoing[group[0]]
            if self.count == self.target:
                self.label = label
                changed = bytes(self.way(bytearray(message), self.sent, self.place))
                self.changed = changed != message
                outgoing.update(dict.fromkeys(group, changed))
            self.count += 1
            self.sent.append(message)
            self.labels.append(label)
        return self.exchange(outgoing, incoming, label, **options)


def ends_of(size, function, **options):
    """Run a program; how it ended on each rank, None or the error: that of one rank must not hide what another got."""
    ends = [None] * size

    def program(party):
        try:
            function(party)
        except JointfitError as error:
            ends[party.rank] = error

    with contextlib.suppress(JointfitError):  # of the session's end, which failed before
        simulate(size, program, **options)
    return ends


def compute(p, party, said, owners=(0, 1)):
    """Every kind of opening: words whole and in part, bits, inputs, and reveals to all, to one, and of bits."""

    def mine(values, owner):
        return encode(torch.tensor(values)) if party.rank == owner else None

    shape = torch.Size([5])
    one, other = owners
    x, y = p.share(mine(X, one), shape, BITS, one), p.share(mine(Y, other), shape, BITS, other)
    b = p.share_bits(torch.tensor(B) if party.rank == one else None, shape, one)
    z = p.rescale(p.multiply(x, y), BITS)
    said(p.reveal(z))
    relu = p.gate(p.invert(p.negative(z)), z)
    said(p.reveal(p.add(relu, p.periodic(y, "cos")), [1]))
    said(p.reveal(p.both(b, p.negative(y))))
    said(p.reveal(p.linear(relu, lambda t: t.sum(0, keepdim=True)), [0]))


def right(got, want):
    """Whether two values are the same, but for the last bit that rounding may change."""
    if got is None or want is None:
        return got is want
    return got.dtype == want.dtype and bool(((got.double() - want.double()).abs() <= 4).all())


def no_wrong_value(told, want, cheat=0):
    """Whoever was told something was told the right thing. Who cheats may fool itself."""
    for rank in range(len(told)):
        if rank != cheat:
            assert all(right(a, b) for a, b in zip(told[rank], want[rank], strict=False)), rank
