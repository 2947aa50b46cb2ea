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
    """Something asked for the contents of a secret: the message says what to write instead."""


class UnsupportedOperation(JointfitError, NotImplementedError):  # noqa: N818 — says what happened
    """An operation that is not offered on secret tensors; nothing was sent."""
