"""How a command ends: its exit code, and an error as a readable block."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Sequence

from mpc.logs import with_names
from parties import JointfitError

_log = logging.getLogger(__name__)

CODES = {
    0: "ended well",
    1: "another error, such as one of the program itself",
    2: "wrong usage or configuration",
    3: "the members disagree: other jobs, programs, versions",
    4: "a peer was lost, failed, or came too late",
    5: "a reveal was refused",
    6: "a wrong, foreign or expired identity",
    7: "a limit of the job was reached",
    130: "interrupted",
}

_KINDS = {
    "KeyboardInterrupt": 130,
    "ConfigurationError": 2,
    "DisagreementError": 3,
    "RevealRefused": 5,
    "IdentityError": 6,
    "LimitError": 7,
    "PeerError": 4,
    "DeadlineError": 4,
    "WireError": 4,
}
"""By the name of an error's type or of a base of it."""

_EVERYWHERE = frozenset({"DisagreementError", "RevealRefused", "LimitError"})
"""Errors that end with one code on all members, also where they are heard of from a peer."""

_REMEDIES = {
    "DisagreementError": "compare all members' job files (sha256sum job.toml), versions, and --resume",
    "RevealRefused": "the program opens what the job does not list under [[reveals]]: change one of them, if all agree",
    "IdentityError": "compare fingerprints with that member by telephone; jointfit fingerprint NAME.crt prints one",
    "LimitError": "raise the [limits] of the job, if all agree",
    "PeerLost": "ask that member for its log; then start all members again, with --resume if there are checkpoints",
    "PeerFailed": "ask that member for its log: the error arose there",
    "DeadlineError": "jointfit check says who can be reached; deadlines are in the job's [limits]",
}


def said(*codes: int) -> str:
    """The exit codes of a command, for its help."""
    return "exit codes:\n" + "\n".join(f"  {code:<4} {CODES[code]}" for code in codes)


ALL = said(*CODES)


def code_of(error: BaseException) -> int:
    """The exit code for an error: of the first of its types that has one."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    kind = getattr(error, "kind", "")
    if kind in _EVERYWHERE:
        return _KINDS[kind]
    return next((_KINDS[base.__name__] for base in type(error).__mro__ if base.__name__ in _KINDS), 1)


def end(error: BaseException, names: Sequence[str] = (), *, debug: bool = False, logged: bool = False) -> int:
    """Say how a command failed, and return its exit code.

    Arguments:
        error: what it raised.
        names: of the ranks, for the text.
        debug: show where it was raised.
        logged: say it in the log, one record; otherwise as a block on standard error.

    Errors that are not jointfit's own may hold values in their texts: their type and place alone are shown, and the
    rest with ``debug``.
    """
    code = code_of(error)
    if isinstance(error, SystemExit):
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        return code
    text, remedy = _text(error, names), _remedy(error)
    if logged:
        fields = {"event": "failed", "kind": type(error).__name__, "code": code, "remedy": remedy}
        _log.error("%s", text, extra=fields, exc_info=error if debug else None)
        return code
    if debug:
        traceback.print_exception(error)
    print(f"jointfit: {text}" + (f"\n  what to do: {remedy}" if remedy else ""), file=sys.stderr)
    return code


def _text(error: BaseException, names: Sequence[str]) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, JointfitError):
        return with_names(str(error), names) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or type(error).__name__}: {error.strerror}"
    place = traceback.extract_tb(error.__traceback__)
    where = f"{place[-1].filename}:{place[-1].lineno}: " if place else ""
    return f"{where}{type(error).__name__}; its text is shown with --log-level debug, as it may hold values"


def _remedy(error: BaseException) -> str:
    if getattr(error, "kind", "") in _EVERYWHERE:
        return _REMEDIES[getattr(error, "kind", "")]
    return next((_REMEDIES[base.__name__] for base in type(error).__mro__ if base.__name__ in _REMEDIES), "")
