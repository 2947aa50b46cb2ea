"""Sharing schemes and the steps written on them. Knows ring tensors and no PyTorch modules; see README.md.

Two parties and a dealer share 1.5 and 2, multiply, and open the product; a number is an integer with 20 fraction bits:

>>> def program(party):
...     protocol = protocols.make("additive", party)
...     mine = lambda owner, value: torch.tensor([value]) if party.rank == owner else None
...     x = protocol.share(mine(0, 3 << 19), torch.Size([1]), bits=20, owner=0)
...     y = protocol.share(mine(1, 2 << 20), torch.Size([1]), bits=20, owner=1)
...     z = protocol.rescale(protocol.multiply(x, y), 20)
...     value = protocol.reveal(z)
...     return None if value is None else value.item() / 2**20
>>> parties.simulate(3, program)
[3.0, 3.0, None]

Examples assume ``import parties, protocols, torch``.
"""

from protocols.additive import Additive
from protocols.authenticated import Authenticated
from protocols.base import Bilinear, Cost, Protocol, Registry, Share
from protocols.plain import InsecurePlain
from protocols.replicated import Replicated
from protocols.verified import Verified

__all__ = [
    "Additive",
    "Authenticated",
    "Bilinear",
    "Cost",
    "InsecurePlain",
    "Protocol",
    "Registry",
    "Replicated",
    "Share",
    "Verified",
    "make",
    "names",
    "needs",
    "register",
]

_REGISTRY = Registry()
_REGISTRY.register("additive", Additive)
_REGISTRY.register("authenticated", Authenticated)
_REGISTRY.register("plain", InsecurePlain)
_REGISTRY.register("replicated", Replicated)
_REGISTRY.register("verified", Verified)

make = _REGISTRY.make
register = _REGISTRY.register
names = _REGISTRY.names
needs = _REGISTRY.needs
