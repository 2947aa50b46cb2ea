"""Passphrases of key files: from a file, or typed at a terminal."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from parties import ConfigurationError

_LONGEST = 4096


def read_passphrase(path: Path | None) -> bytes | None:
    """The first line of a file, None without one. Raises ConfigurationError if there is none in it."""
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            line = file.readline(_LONGEST + 1).rstrip(b"\r\n")
    except OSError as error:
        raise ConfigurationError(f"passphrase file {path}: {error.strerror}") from error
    if not line or len(line) > _LONGEST:
        raise ConfigurationError(f"passphrase file {path}: want 1 to {_LONGEST} bytes in its first line")
    return line


def ask_passphrase(what: str) -> bytes:
    """Ask for a passphrase at the terminal. Raises ConfigurationError where there is none."""
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{what} has a passphrase, and there is no terminal to ask at; want --passphrase-file")
    return getpass.getpass(f"passphrase of {what}: ").encode()


def new_passphrase() -> bytes:
    """Ask for a new passphrase, twice. Raises ConfigurationError if it is empty, or typed differently."""
    first = ask_passphrase("the new key")
    if not first or ask_passphrase("the new key, again") != first:
        raise ConfigurationError("the passphrases differ, or are empty; nothing was made")
    return first
