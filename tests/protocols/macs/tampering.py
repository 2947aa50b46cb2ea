"""Parties that cheat: on the wire, one message at a time, and in what they compute, which they then believe."""

import contextlib
import os

import torch

from parties import JointfitError, simulate
from protocols.macs import wide
from protocols.macs.linear import Bits, Words


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
    """Changes the message number ``target`` that a party sends in rounds, to the first peer only or to all."""

    def __init__(self, party, way, target, *, everybody=False, place=None):
        self.party, self.way, self.target, self.everybody = party, WAYS[way], target, everybody
        self.place = int.from_bytes(os.urandom(4), "big") if place is None else place
        self.sent, self.labels, self.count, self.label, self.changed = [], [], 0, None, False
        self.exchange = party.exchange
        party.exchange = self

    def __call__(self, outgoing, incoming, label, **options):
        message = next((bytes(data) for data in outgoing.values() if len(data)), b"")
        if message:
            if self.count == self.target:
                self.label = label
                changed = bytes(self.way(bytearray(message), self.sent, self.place))
                self.changed = changed != message
                to = list(outgoing) if self.everybody else list(outgoing)[:1]
                outgoing = {rank: changed if rank in to else data for rank, data in outgoing.items()}
            self.count += 1
            self.sent.append(message)
            self.labels.append(label)
        return self.exchange(outgoing, incoming, label, **options)


def lie(protocol, target, error):
    """Add an error to opening number ``target`` of this rank, which takes the sum for the right one itself.

    Returns a list, which is empty until that is done.
    """
    done, seen = [], [0]
    exchange = protocol.scheduler._exchange

    def lying(openings):
        for opening in openings:
            if opening.sender is None and opening.part.numel():
                if seen[0] == target:
                    opening.part = changed(opening.part, error)
                    done.append(opening)
                seen[0] += 1
        exchange(openings)

    protocol.scheduler._exchange = lying
    return done


def changed(part, error):
    planes = part.planes.clone()
    if isinstance(part, Bits):
        planes[0].view(-1)[-1] ^= 1
        return Bits(planes)
    extra = torch.zeros_like(planes[:, 0]).reshape(wide.COUNT, -1)
    extra[:, 0] = wide.split(torch.tensor(error))
    planes[:, 0] += extra.reshape(planes[:, 0].shape)
    return Words(wide.carried(planes))


def ends_of(size, function):
    """Run a program; how it ended on each rank, None or the error: that of one rank must not hide what another got."""
    ends = [None] * size

    def program(party):
        try:
            function(party)
        except JointfitError as error:
            ends[party.rank] = error

    with contextlib.suppress(JointfitError):  # of the session's end, which failed before
        simulate(size, program)
    return ends
