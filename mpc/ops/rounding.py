"""Rounding."""

from __future__ import annotations

from mpc.value import Value


def floor(x: Value) -> Value:
    """Largest integer not above x."""
    if x.share is None:
        return Value(x.session, public=x.public.floor())
    share = x.number
    return x if share.bits == 0 else Value(x.session, x.session.protocol.rescale(share, 0, faithful=True))


def truncate(x: Value) -> Value:
    """Drop the fraction."""
    if x.nonnegative:
        return floor(x)
    negative = x.is_negative()
    return floor(x.abs()).choose_sign(negative)
