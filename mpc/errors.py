"""Errors of the tensor layer.

::

    JointfitError
    ├── SecretError (also a TypeError)                    something would look inside a secret
    └── UnsupportedOperation (also a NotImplementedError)  an operation that is not offered on secrets

Both are raised before anything is sent, on every rank alike, so the session stays usable.
"""

from __future__ import annotations

from parties import JointfitError

__all__ = ["SecretError", "UnsupportedOperation"]


class SecretError(JointfitError, TypeError):
    """Something asked for the contents of a secret: the message says what to write instead.

    >>> x = session.share(torch.ones(3), owner=0)
    >>> if x.sum() > 2:
    ...     x = -x
    Traceback (most recent call last):
    mpc.errors.SecretError: bool() would look inside a secret tensor; write torch.where(condition, a, b), or ...
    """


class UnsupportedOperation(JointfitError, NotImplementedError):  # noqa: N818 — says what happened
    """An operation that is not offered on secret tensors; nothing was sent. mpc/EXTENDING.md shows how to add one.

    >>> torch.linalg.inv(session.share(torch.eye(2), owner=0))
    Traceback (most recent call last):
    mpc.errors.UnsupportedOperation: aten.linalg_inv_ex.default is not offered on secret tensors; got (...
    """
