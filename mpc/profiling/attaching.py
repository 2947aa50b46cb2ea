"""Attaching: a session's profiler, made for its first profile, is told of what happens while there is any profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpc.profiling import hooks
from mpc.profiling.profiler import Profiler

if TYPE_CHECKING:
    from mpc.session import Session


def attach(session: Session) -> Profiler:
    """One profile more."""
    profiler = session.account
    first = profiler is None
    if profiler is None:
        profiler = session.account = Profiler(session.rank, session.computing, session.counts)
    profiler.users += 1
    if profiler.users == 1:
        profiler.resume()
        if first:
            profiler.recorder.begun = profiler.recorder.ended
        session.profiler = profiler
        session.protocol.watch(profiler.recorder)
        hooks.install(profiler)
    return profiler


def detach(session: Session) -> None:
    """One profile less."""
    profiler = session.account
    if profiler is None or not profiler.users:
        return
    profiler.users -= 1
    if not profiler.users:
        hooks.remove(profiler)
        session.protocol.watch(None)
        session.profiler = None
