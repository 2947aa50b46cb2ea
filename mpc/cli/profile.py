"""``jointfit profile``: run a program or rehearse a job, and say what bytes, rounds and seconds were for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mpc.cli.ending import said
from mpc.cli.options import Commands
from mpc.cli.run import add_all, run
from mpc.profiling import FOLDER
from parties import ConfigurationError

if TYPE_CHECKING:
    from mpc.profiling.profile import Profile

_FOLDER = Path("jointfit-profile")

_PROFILE = f"""\
Run as `jointfit run` does, and account for bytes, messages, rounds, correlations, waiting and computing: by module,
forward or backward, operation, and protocol step. Prints a table of the first party and a line for each rank. Writes
rank-0.json and so on, one for each rank, and trace.json, which ui.perfetto.dev and chrome://tracing open; files of
these names are replaced. They hold names, shapes, sizes and times, and no value of anybody's data.

Institutions apart: each runs `jointfit party --profile DIR`; who has the files then runs `jointfit profile --read`.

examples:
  jointfit profile -n 3 train.py                       two parties and a dealer
  jointfit profile -n 3 --by op --sort computing train.py
  jointfit profile -n 4 --by part,module,step --limit 50 -m train
  jointfit profile --job job.toml --out costs          rehearse a job
  jointfit profile --read costs/rank-0.json costs/rank-1.json      what was measured, with clocks aligned

The exit code is that of the rank that failed first.
{said(0, 1, 2, 3, 4, 5, 7, 130)}"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add("profile", "run, and say what bytes, rounds and seconds are for", _PROFILE, profile)
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"where to write (default: {_FOLDER})")
    parser.add_argument("--by", default="module,part", metavar="FIELDS", help="of module,part,op,step,phase")
    parser.add_argument("--sort", default="sent", metavar="COLUMN", help="such as sent, rounds, waiting, key (sent)")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="rows of the table (20)")
    parser.add_argument("--no-trace", action="store_true", help="write no trace.json")
    parser.add_argument("--read", type=Path, nargs="+", metavar="FILE", help="run nothing: read files of profiles")
    add_all(parser)


def profile(options: argparse.Namespace) -> int:
    """Run and print, or read and print."""
    from mpc.profiling.profile import Profile
    from mpc.profiling.rows import check_fields, sort

    by = check_fields(options.by.split(","))
    sort([], options.sort)
    if options.read is not None:
        if options.program or options.job is not None:
            raise ConfigurationError("got --read and something to run; want one of them")
        _show(Profile.load(*options.read), by, options, options.out)
        return 0
    folder = options.out or _FOLDER
    for old in _files(folder):
        old.unlink()
    code = run(options, {FOLDER: str(folder.resolve())})
    files = _files(folder)
    if files:
        _show(Profile.load(*files), by, options, folder)
    elif not code:
        raise ConfigurationError("no rank opened a session, so there is nothing to profile; want `with mpc.session()`")
    return code


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("rank-*.json") if path.stem.removeprefix("rank-").isdigit()]


def _show(found: Profile, by: tuple[str, ...], options: argparse.Namespace, folder: Path | None) -> None:
    from mpc.profiling.files import make_folder

    print(found.table(by=by, sort=options.sort, limit=options.limit))
    print()
    for line in found.lines():
        print(line)
    if folder is not None and not options.no_trace:
        make_folder(folder)
        found.write_trace(folder / "trace.json")
        print(f"\n{folder / 'trace.json'}: open it in https://ui.perfetto.dev")
