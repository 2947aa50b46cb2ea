"""Sharing schemes and the steps written on them. Knows ring tensors and no PyTorch modules; see README.md."""

from protocols.additive import Additive
from protocols.base import Bilinear, Cost, Protocol, Registry, Share
from protocols.plain import InsecurePlain

__all__ = [
    "Additive",
    "Bilinear",
    "Cost",
    "InsecurePlain",
    "Protocol",
    "Registry",
    "Share",
    "make",
    "names",
    "register",
]

_REGISTRY = Registry()
_REGISTRY.register("additive", Additive)
_REGISTRY.register("plain", InsecurePlain)

make = _REGISTRY.make
register = _REGISTRY.register
names = _REGISTRY.names
