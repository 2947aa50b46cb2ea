"""The parser of the command line: commands in groups, options that several commands have, completion for shells."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mpc.logs import LEVELS
from mpc.version import __version__
from parties import ConfigurationError
from parties.launch import PROGRESS
from parties.needs import DEFAULT, NEEDS, VARIABLE, check_ranks
from parties.roles import DEALER

_WIDTH = 112
PROTOCOLS = [name for name, needs in NEEDS.items() if not needs.alone]
"""Jointfit's own for several parties."""

_ABOUT = "Train one PyTorch model on data that several institutions keep to themselves."

_SEQUENCE = """\
a typical sequence:
  jointfit keygen hospital_a                        each institution: a key; its fingerprint goes into the job
  jointfit columns mine.csv --label malignant       each owner of data: names and ranges of its columns, for the job
  jointfit init heart                               one of them writes the job file, and all read and agree on it
  jointfit run --job job.toml                       rehearse on one machine
  jointfit check --job job.toml --as hospital_a --data mine.csv      each, at the same time
  jointfit dealer --job job.toml                                     the dealer
  jointfit party --job job.toml --as hospital_a --data mine.csv      each
  jointfit log show jointfit-state/*/hospital_a/reveals.jsonl        what was opened, and to whom

jointfit COMMAND --help has examples and exit codes. For completion, put this into ~/.bashrc:
  eval "$(jointfit --print-completion bash)"
"""


class _Top(argparse.ArgumentParser):
    """Lists its commands in groups."""

    groups: dict[str, list[tuple[str, str]]]

    def format_help(self) -> str:
        parts = ["usage: jointfit [--version] [--print-completion SHELL] COMMAND ...\n", f"\n{_ABOUT}\n"]
        for group, entries in self.groups.items():
            parts.append(f"\n{group}:\n")
            parts += [f"  {name:<12} {text}\n" for name, text in entries]
        return "".join([*parts, "\n", _SEQUENCE])


class _Complete(argparse.Action):
    """``--print-completion SHELL``: the script to standard output."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        import shtab

        for each in _parsers(parser):
            each.description = each.prog.partition(" ")[2] or None
            for action in each._actions:
                if action.type is Path:
                    folder = action.metavar == "DIR"
                    action.complete = shtab.DIRECTORY if folder else shtab.FILE  # type: ignore[attr-defined]
        print(shtab.complete(parser, values))
        parser.exit()


def _parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    found = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                found += _parsers(each)
    return found


class Commands:
    """Collects the commands."""

    def __init__(self) -> None:
        self.parser = _Top(prog="jointfit", description=_ABOUT)
        self.parser.groups = {}
        self.parser.set_defaults(act=None)
        self.parser.add_argument("--version", action="version", version=f"jointfit {__version__}")
        shells = ["bash", "zsh", "tcsh"]
        self.parser.add_argument("--print-completion", choices=shells, action=_Complete, help="a script for your shell")
        self._commands = self.parser.add_subparsers(metavar="COMMAND", parser_class=argparse.ArgumentParser)

    def group(self, name: str) -> None:
        """The commands that come next belong together."""
        self.parser.groups[name] = []

    def add(
        self, name: str, brief: str, description: str, act: Callable[[argparse.Namespace], int]
    ) -> argparse.ArgumentParser:
        """Declare a command: a line for the list, its description with examples and exit codes, and what it does."""
        self.parser.groups[list(self.parser.groups)[-1]].append((name, brief))
        form = argparse.RawDescriptionHelpFormatter
        parser = self._commands.add_parser(name, help=brief, description=description, formatter_class=form)
        parser.set_defaults(act=act)
        return parser


def add_job(parser: argparse._ActionsContainer, *, required: bool = True) -> None:
    """``--job``."""
    parser.add_argument("--job", type=Path, required=required, metavar="FILE", help="the job, job.toml")


def add_identity(parser: argparse.ArgumentParser) -> None:
    """Who this member is: key, certificate, passphrase; where it listens and keeps its state."""
    parser.add_argument("--key", type=Path, metavar="FILE", help="private key (default: NAME.key in this folder)")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="certificate (default: .crt beside the key)")
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="holds the key's passphrase")
    parser.add_argument(
        "--listen", metavar="HOST:PORT", help="where to listen (default: all interfaces, the port of the job's address)"
    )
    state = "for checkpoints, results and the log of reveals (default: jointfit-state/JOB-DIGEST/NAME)"
    parser.add_argument("--state", type=Path, metavar="DIR", help=state)


def add_member(parser: argparse.ArgumentParser) -> None:
    """Which member this is, and its table."""
    parser.add_argument("--as", dest="name", required=True, metavar="NAME", help="which member of the job this is")
    parser.add_argument("--data", type=Path, metavar="FILE", help="an owner's table: .csv, .csv.gz or .parquet")


def key_and_certificate(options: argparse.Namespace, name: str) -> tuple[Path, Path]:
    """The files that `add_identity` declares, by default those of the member's name."""
    key = options.key or Path(f"{name}.key")
    return key, options.certificate or key.with_suffix(".crt")


def add_logging(parser: argparse._ActionsContainer) -> None:
    """How much is said, and how."""
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="least important lines shown (info)")
    parser.add_argument("--log-json", action="store_true", help="log one JSON object a line")
    parser.add_argument("--quiet", action="store_true", help="warnings and errors alone, no progress")


def add_progress(parser: argparse._ActionsContainer) -> None:
    """``--progress``."""
    text = "show steps, loss if revealed, rounds/s, MB/s by peer and time left: a live table, or plain lines"
    parser.add_argument("--progress", action="store_true", help=text)


def progress_of(options: argparse.Namespace) -> dict[str, str]:
    """What `add_progress` declares, as a variable for sessions. Raises ConfigurationError if nothing is to be said."""
    if not options.progress:
        return {}
    if options.quiet:
        raise ConfigurationError("got --progress and --quiet; want one of them")
    return {PROGRESS: "here"}


def add_protocol(parser: argparse._ActionsContainer) -> None:
    """``--protocol``."""
    text = f"of a program that does not say which: {', '.join(PROTOCOLS)}, or one that it registers ({DEFAULT})"
    parser.add_argument("--protocol", metavar="NAME", help=text)


def protocol_of(options: argparse.Namespace, *, files: bool = False) -> dict[str, str]:
    """What `add_protocol` declares, as a variable for sessions; nothing if nobody says it.

    ``files``: correlations were dealt beforehand. Raises ConfigurationError if so many ranks are wrong for one of
    jointfit's own protocols, unless JOINTFIT_DEALER says what they are. One that the program registers says so itself,
    where it runs.
    """
    said = options.protocol or os.environ.get(VARIABLE)
    name = said or DEFAULT
    if name in NEEDS and DEALER not in os.environ:
        check_ranks(name, NEEDS[name], options.ranks, clients=options.clients, files=files)
    return {VARIABLE: said} if said else {}


def add_report(parser: argparse._ActionsContainer, *, folder: bool = False) -> None:
    """``--report``; ``folder``: several ranks write one each."""
    what = "write a page about the run, and its JSON, when it ends"
    where = "DIR/NAME.html for each rank" if folder else "FILE.html, or NAME.html in a folder"
    parser.add_argument("--report", type=Path, metavar="DIR" if folder else "FILE", help=f"{what}: {where}")


def examples(*lines: tuple[str, str]) -> str:
    """The examples of a command: pairs of command and explanation, beside it, or below where one is long."""
    width = max(len(command) for command, why in lines if why) if any(why for _, why in lines) else 0
    beside = all(width + len(why) < _WIDTH for _, why in lines)
    shown = []
    for command, why in lines:
        between = f"\n{'':<8}" if why and not beside else f"{'':<{max(0, width - len(command)) + 3}}"
        shown.append(f"  {command}{between}{why}".rstrip())
    return "examples:\n" + "\n".join(shown)
