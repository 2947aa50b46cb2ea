"""``jointfit estimate``: what a program or a job will cost, without data and without peers."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpc.cli.ending import said
from mpc.cli.options import Commands, add_job, examples
from mpc.cli.program import add_program_itself
from mpc.cli.rounds import add_rounds, show_rounds
from parties import ConfigurationError

if TYPE_CHECKING:
    from mpc.estimating.estimate import Estimate
    from mpc.estimating.running import Program, Ranks
    from mpc.estimating.survey import Survey
    from mpc.estimating.transport import MessageCost
    from mpc.estimating.ways import Way

_ESTIMATE = (
    """\
Say what a program or a job will cost: bytes, rounds and correlations exactly, seconds from the work that this machine
is measured to need and a simulation of the network. Nothing is sent to anybody, and no data are needed.

The program runs in the role of rank 0, then of others, each time alone, with made-up numbers; session.reveal gives
None. Where a rank's data are not here it needs their shape: session.share(data, owner=1, shape=(500, 30)).

A step is one step of an optimiser on shared parameters. Seconds leave out connecting. Options that both this command
and the program have are this command's, unless they follow --: jointfit estimate train.py -- --steps 500

"""
    + examples(
        ("jointfit estimate train.py", "two parties and a dealer on lan, metro and wan"),
        ("jointfit estimate train.py --network 30ms,50mbit --parties 2,3", ""),
        ("jointfit estimate train.py --protocol additive,replicated", "a dealer, or a third party that computes?"),
        ("jointfit estimate train.py --protocol all --network wan", "all protocols, and whom each needs one to trust"),
        ("jointfit estimate --steps 20 --of 5000 train.py", "count 20 of its 5,000 steps"),
        ("jointfit estimate --sweep batch=32,64,128 --plot sweep.png train.py", "runs train.py --batch 32, …"),
        ("jointfit estimate --rounds --steps 2 train.py", "which steps make the rounds; could any be merged?"),
        ("jointfit estimate --job job.toml --rows hospital_a=300 --rows hospital_b=269", ""),
        ("jointfit estimate --job job.toml --sweep batch=32,64,128", "tables are in data/ beside it"),
    )
    + "\n\n"
    + said(0, 1, 2, 130)
)


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add("estimate", "what a program or a job will send, and how long it will take", _ESTIMATE, act)
    _add_options(parser)
    add_rounds(parser)
    job = parser.add_argument_group("a job")
    add_job(job, required=False)
    rows = "rows of an owner (default: those of its table in data/ beside the job)"
    job.add_argument("--rows", action="append", default=[], metavar="NAME=N", help=rows)
    add_program_itself(parser.add_argument_group("a program"))


def _add_options(parser: argparse.ArgumentParser) -> None:
    """What may stand before the program or after it."""
    parser.add_argument("--parties", metavar="N,…", help="computing parties, beside a dealer (2, or the job's)")
    parser.add_argument("--clients", type=int, default=0, metavar="C", help="ranks that do not compute (0)")
    network = "lan, metro, wan, or RTT,BANDWIDTH such as 30ms,50mbit; several with commas between (all three)"
    parser.add_argument("--network", default="lan,metro,wan", metavar="NET,…", help=network)
    protocol = (
        "additive, additive-files (dealt beforehand), replicated, …; several with commas between, or all (what the "
        "program or the job says, else additive)"
    )
    parser.add_argument("--protocol", metavar="NAME,…", help=protocol)
    parser.add_argument("--cores", type=int, metavar="K", help="all ranks share one machine with so many cores")
    parser.add_argument("--measure", type=float, default=5.0, metavar="S", help="seconds to measure, about (5)")
    parser.add_argument("--steps", type=int, metavar="N", help="count so many steps of the program, not all")
    parser.add_argument("--of", type=int, metavar="N", help="steps that the program has, with --steps")
    parser.add_argument("--epoch", type=int, metavar="N", help="steps of an epoch (of a sweep's first value)")
    sweep = "estimate for several values: of the job's parameter, or of the program's option --NAME"
    parser.add_argument("--sweep", metavar="NAME=A,B,…", help=sweep)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw seconds and bytes to a .png, .svg or .pdf file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def _after_program(options: argparse.Namespace) -> None:
    """Take the command's own options from what follows the program, up to ``--``; the rest is the program's."""
    own = argparse.ArgumentParser(prog="jointfit estimate", add_help=False, allow_abbrev=False)
    _add_options(own)
    program, *rest = options.program
    end = rest.index("--") if "--" in rest else len(rest)
    _, others = own.parse_known_args(rest[:end], options)
    options.program = [program, *others, *rest[end + 1 :]]


def act(options: argparse.Namespace) -> int:
    """Estimate, or sweep, and print."""
    import torch

    from mpc.estimating.estimate import chosen_networks, made, threads
    from mpc.estimating.sweep import Point, Sweep, setting, whole_numbers
    from mpc.estimating.transport import measured
    from mpc.estimating.ways import ways_of

    if (options.job is None) == (not options.program):
        raise ConfigurationError("want a program, or --job FILE")
    if options.program:
        _after_program(options)
    found = chosen_networks(options.network)
    name, values = setting(options.sweep) if options.sweep else ("", [""])
    subject: _Job | _Program = _Program(options) if options.job is None else _Job(options)
    ways = ways_of(options.protocol, subject.protocol)
    parties = whole_numbers(options.parties, "--parties") if options.parties else [None]
    chosen = dict.fromkeys(each for number in parties for each in subject.placed(ways, number))
    if options.rounds or options.graph is not None:
        ranks = next(iter(chosen))[1]
        return show_rounds(subject.graph(ranks), ranks, options.steps, options.graph)
    cost = None if options.cores else measured()
    points: list[Point] = []
    for value in values:
        surveys: dict[Ranks, Survey] = {}
        for each, ranks in chosen:
            if ranks not in surveys:
                torch.set_num_threads(threads(options.cores, ranks))
                surveys[ranks] = subject.survey(ranks, cost, name, value)
            known = surveys[ranks]
            if points and options.epoch:
                first = points[0].estimate
                known = replace(known, epoch=round(options.epoch * known.steps / first.steps))
            one = made(subject.name, known, each, found, options.cores)
            points.append(Point(f"{name}={value}" if name else "", one))
    _show(options, Sweep(tuple(points)), points[0].estimate)
    return 0


def _show(options: argparse.Namespace, sweep: Any, first: Estimate) -> None:
    single = len(sweep.points) == 1
    if options.plot is not None:
        from mpc.estimating.plots import draw

        draw(options.plot, sweep)
    if options.json:
        print(first.to_json() if single else sweep.to_json())
    else:
        print(first if single else sweep)


class _Program:
    """A script, or a module."""

    def __init__(self, options: argparse.Namespace) -> None:
        if not options.module and not Path(options.program[0]).is_file():
            raise ConfigurationError(f"found no program {options.program[0]}; want a Python file")
        self._options = options
        self._said = {name: getattr(options, name) for name in ("steps", "of", "epoch", "cores")}
        self.name = str(options.program[0])

    def protocol(self) -> str:
        """What the program says, else the default: it runs until it opens its session."""
        from mpc.choice import chosen
        from mpc.estimating.running import asked_for

        return chosen(asked_for(self.program()))

    def placed(self, ways: list[Way], parties: int | None) -> list[tuple[Way, Ranks]]:
        """The ways with their ranks, for so many computing parties; see `ways.placed`."""
        from mpc.estimating.ways import placed

        clients = self._options.clients
        return [(each, each.ranks(2, clients)) for each in ways] if parties is None else placed(ways, parties, clients)

    def program(self, *more: str) -> Program:
        """What runs it, with more options."""
        from mpc.estimating.scripts import script

        return script([*self._options.program, *more], module=self._options.module)

    def graph(self, ranks: Ranks) -> Program:
        """What is run to see its rounds."""
        return self.program()

    def survey(self, ranks: Ranks, cost: MessageCost | None, name: str, value: str) -> Survey:
        """Count and measure it, with an option if it has a name."""
        from mpc.estimating.estimate import take

        given = self._options
        program = self.program(*([f"--{name}", value] if name else []))
        return take(program, ranks, cost, seconds=given.measure, **self._said)


class _Job:
    """A job that trains an estimator."""

    def __init__(self, options: argparse.Namespace) -> None:
        from mpc.cli.rehearsal import tables_beside
        from mpc.estimating.jobs import rows_of
        from mpc.estimating.ways import ALL
        from parties.job import read_job

        if any(value is not None for value in (options.steps, options.of, options.epoch)) or options.clients:
            raise ConfigurationError("--steps, --of, --epoch and --clients are for programs; a job says these itself")
        self.job = read_job(options.job)
        self.name = self.job.name
        self._said, self._tables = dict(map(numbers_of_rows, options.rows)), tables_beside(self.job, options.job.parent)
        rows_of(self.job, self._said, self._tables)
        self._seconds, self._cores = options.measure, options.cores
        self._all = options.protocol == ALL

    def protocol(self) -> str:
        """The job's."""
        return self.job.protocol.name

    def placed(self, ways: list[Way], parties: int | None) -> list[tuple[Way, Ranks]]:
        """The ways with the job's ranks; of all, those that fit. Raises ConfigurationError for other numbers."""
        from mpc.estimating.jobs import as_if, fits, ranks_of

        if parties not in (None, self.job.computing):
            raise ConfigurationError(f"--parties {parties}; the job has {self.job.computing}, and says so itself")
        some = [each for each in ways if not self._all or fits(self.job, each.protocol)]
        return [(each, ranks_of(as_if(self.job, each.protocol))) for each in some]

    def graph(self, ranks: Ranks) -> Program:
        """What is run to see its rounds: few epochs of each kind."""
        from mpc.estimating.jobs import FEW, Epochs, as_if, epochs_of, program, rows_of

        if self.job.model.estimator is None:
            raise ConfigurationError(f"the job runs {self.job.model.program}; want that: jointfit estimate PROGRAM")
        parameters = dict(self.job.model.parameters)
        wanted = epochs_of(self.job, parameters)
        few = Epochs(min(wanted.silent, FEW), min(wanted.opened, FEW))
        job = as_if(self.job, str(ranks.protocol))
        return program(job, parameters, rows_of(job, self._said, self._tables), few)

    def survey(self, ranks: Ranks, cost: MessageCost | None, name: str, value: str) -> Survey:
        """Count and measure it, with a parameter if it has a name."""
        from mpc.estimating.jobs import as_if, rows_of, survey_job

        parameters = dict(self.job.model.parameters)
        if name:
            parameters[name] = _value(value)
        job = as_if(self.job, str(ranks.protocol))
        rows = rows_of(job, self._said, self._tables)
        return survey_job(job, rows, cost, parameters=parameters, seconds=self._seconds, cores=self._cores)


def numbers_of_rows(text: str) -> tuple[str, int]:
    """``hospital_a=300`` as a name and a number. Raises ConfigurationError for anything else."""
    name, _, number = text.partition("=")
    if not (name and re.fullmatch("[0-9]{1,9}", number)):
        raise ConfigurationError(f"--rows {text[:100]}; want NAME=N, such as hospital_a=300")
    return name, int(number)


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
