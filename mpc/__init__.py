"""jointfit: train one unmodified PyTorch model on data that several institutions keep to themselves.

::

    import torch, mpc

    with mpc.session() as session:
        x = session.share(features, owner=0)
        model = session.share_module(torch.nn.Linear(30, 1))
        ...
        trained = session.reveal_module(model, to=[0, 1])

See README.md. Importing this package loads torch and NumPy, and neither MPI nor pandas nor scikit-learn.
"""

from mpc.agreed import Agreed, Allowed
from mpc.checkpoints import Checkpoints
from mpc.deal import deal
from mpc.errors import SecretError, UnsupportedOperation
from mpc.plan import Plan, plan
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
    "JointfitError",
    "PeerError",
    "Plan",
    "RevealRefused",
    "SecretError",
    "Session",
    "SharedTensor",
    "UnsupportedOperation",
    "__version__",
    "deal",
    "load_weights",
    "plan",
    "save_weights",
    "session",
    "simulate",
]
