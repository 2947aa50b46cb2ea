"""jointfit: train one unmodified PyTorch model on data that several institutions keep to themselves.

A program is the same on every rank; here two parties and a dealer are threads, and rank 0 learns the sum:

>>> def program(session):
...     mine = {0: [1.0, 2.0], 1: [3.0]}.get(session.rank)
...     x = session.share_rows(None if mine is None else torch.tensor(mine))
...     return session.reveal(x.sum(), to=0)
>>> mpc.simulate(3, program)
[tensor(6.), None, None]

In real runs `with mpc.session() as session:` takes its rank from `jointfit run` or mpirun. Examples assume
``import mpc, torch``; those of `Session` and of tensors, a session of one process: ``mpc.session(protocol="plain")``.

See README.md. Importing this package loads nothing; the first use of one of its names loads torch and NumPy, and
neither MPI nor pandas nor scikit-learn. So `jointfit keygen` and other commands without tensors start at once.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpc.agreed import Agreed, Allowed
    from mpc.checkpoints import Checkpoints
    from mpc.deal import deal
    from mpc.errors import SecretError, UnsupportedOperation
    from mpc.estimating.estimate import Estimate, estimate
    from mpc.estimating.networks import Network
    from mpc.plan import Plan, plan
    from mpc.profiling.profile import Profile, profile
    from mpc.saving import load_weights, save_weights
    from mpc.session import Session, session
    from mpc.simulate import simulate
    from mpc.tensor import SharedTensor
    from mpc.version import __version__
    from parties import ConfigurationError, DisagreementError, JointfitError, PeerError, RevealRefused

__all__ = [
    "Agreed",
    "Allowed",
    "Checkpoints",
    "ConfigurationError",
    "DisagreementError",
    "Estimate",
    "JointfitError",
    "Network",
    "PeerError",
    "Plan",
    "Profile",
    "RevealRefused",
    "SecretError",
    "Session",
    "SharedTensor",
    "UnsupportedOperation",
    "__version__",
    "deal",
    "estimate",
    "load_weights",
    "plan",
    "profile",
    "save_weights",
    "session",
    "simulate",
]

_WHERE = {
    "Agreed": "mpc.agreed",
    "Allowed": "mpc.agreed",
    "Checkpoints": "mpc.checkpoints",
    "ConfigurationError": "parties",
    "DisagreementError": "parties",
    "Estimate": "mpc.estimating.estimate",
    "JointfitError": "parties",
    "Network": "mpc.estimating.networks",
    "PeerError": "parties",
    "Plan": "mpc.plan",
    "Profile": "mpc.profiling.profile",
    "RevealRefused": "parties",
    "SecretError": "mpc.errors",
    "Session": "mpc.session",
    "SharedTensor": "mpc.tensor",
    "UnsupportedOperation": "mpc.errors",
    "__version__": "mpc.version",
    "deal": "mpc.deal",
    "estimate": "mpc.estimating.estimate",
    "load_weights": "mpc.saving",
    "plan": "mpc.plan",
    "profile": "mpc.profiling.profile",
    "save_weights": "mpc.saving",
    "session": "mpc.session",
    "simulate": "mpc.simulate",
}


class _Package(ModuleType):
    """This package, which loads a module when one of its public names is first used."""

    def __getattr__(self, name: str) -> Any:
        if name not in _WHERE:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_WHERE[name]), name)
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and name in _WHERE:
            return  # Python binds a module on its import; `mpc.session` is the function, not the module
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_WHERE})


sys.modules[__name__].__class__ = _Package
