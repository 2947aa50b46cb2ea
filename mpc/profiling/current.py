"""Which sessions and profiles are open on this thread, and how one becomes part of the other."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast
from weakref import ReferenceType, ref

from mpc.profiling import FOLDER
from parties import DryParty

if TYPE_CHECKING:
    from mpc.profiling.profile import Profile
    from mpc.profiling.profiler import Profiler
    from mpc.session import Session

_SESSIONS: ContextVar[tuple[ReferenceType[Session], ...]] = ContextVar("open sessions", default=())
_PROFILES: ContextVar[tuple[Profile, ...]] = ContextVar("open profiles", default=())

P = ParamSpec("P")
R = TypeVar("R")


def session() -> Session | None:
    """The session that was opened last on this thread, of those that are open."""
    for each in reversed(_SESSIONS.get()):
        found = each()
        if found is not None:
            return found
    return None


def profiler() -> Profiler | None:
    """What profiles of that session account with; None if there is none."""
    now = session()
    return None if now is None else now.profiler


def opened(one: Session) -> None:
    """A session was opened, and is in all profiles of this thread; in one more if the environment wants one."""
    folder = os.environ.get(FOLDER)
    if folder and not isinstance(one.party, DryParty) and not any(each.folder for each in _PROFILES.get()):
        from mpc.profiling.profile import Profile

        began(Profile(folder=Path(folder)))
    for each in _PROFILES.get():
        each.begins(one, whole=True)


def entered(one: Session) -> None:
    """Its ``with`` block begins. A session that is opened and dropped is nobody's current one."""
    _SESSIONS.set((*_SESSIONS.get(), ref(one)))


def closed(one: Session) -> None:
    """It is over."""
    for each in _PROFILES.get():
        each.ends(one)
    _SESSIONS.set(tuple(other for other in _SESSIONS.get() if other() not in (one, None)))


def began(one: Profile) -> None:
    """A profile begins on this thread, of the open session and of all that will be opened."""
    now = session()
    if now is not None:
        one.begins(now, whole=False)
    _PROFILES.set((*_PROFILES.get(), one))


def ended(one: Profile) -> None:
    """It is over."""
    _PROFILES.set(tuple(other for other in _PROFILES.get() if other is not one))
    for each in _SESSIONS.get():
        found = each()
        if found is not None:
            one.ends(found)


Method = Callable[Concatenate["Session", P], R]


def counts_as(part: str) -> Callable[[Method[P, R]], Method[P, R]]:
    """A method of Session whose bytes and seconds count for this part of the program."""

    def wrap(method: Method[P, R]) -> Method[P, R]:
        @functools.wraps(method)
        def counted(session: Session, *arguments: P.args, **options: P.kwargs) -> R:
            account = session.profiler
            if account is None:
                return method(session, *arguments, **options)
            before = account.enter(part)
            try:
                return method(session, *arguments, **options)
            finally:
                account.leave(before)

        return cast("Method[P, R]", counted)

    return wrap
