"""A party that cheats in what it computes, and believes it."""

import torch

from protocols.macs import wide
from protocols.macs.linear import Bits, Words


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
