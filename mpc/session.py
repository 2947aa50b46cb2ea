"""Session: the ranks of one run, its protocol and encoding; what goes in and what comes out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

import protocols
from mpc import revealing, sharing
from mpc.agreed import Agreed
from mpc.agreement import agree_on_run, facts_of_run
from mpc.checkpoints import Checkpoints, steps
from mpc.choice import check_needs, check_party, chosen, of_process
from mpc.data.batches import batches, permutation
from mpc.encoding import Encoding
from mpc.inputs import Shapes
from mpc.jobs import JOB
from mpc.journal import journal
from mpc.offline import STAND_IN, Known, Place, generator, source, start
from mpc.policy import Policy
from mpc.profiling import current
from mpc.profiling.current import counts_as
from mpc.pulse import pulse_of
from mpc.randomness import Ordinary, Stream, align, unobserved
from mpc.report.writing import begin, written
from mpc.revealing import Recipients
from mpc.seat import Seat
from mpc.showing import show_session
from mpc.summary import summary
from mpc.tensor import SharedTensor
from parties import ConfigurationError, DryParty, Limits, Party, Role, SoloParty

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from mpc.profiling.profiler import Profiler
    from protocols.base import Protocol


def session(
    protocol: str | None = None,
    bits: int = 20,
    party: Party | None = None,
    *,
    rounding: str = "chance",
    device: str | torch.device = "cpu",
    parameters: Mapping[str, Any] | None = None,
    program: str | None = None,
    correlations: str | Path | Place | None = None,
    agreed: Agreed | None = None,
    checkpoints: Checkpoints | None = None,
    report: str | Path | None = None,
    **options: Any,
) -> Session:
    """Open a session: ``with mpc.session() as session: ...``, the same program on every rank.

    Arguments:
        protocol: name of the sharing scheme: whom one has to trust, and how many ranks compute; see "Choose whom to
            trust" in README.md. By default what `jointfit run --protocol` or the variable JOINTFIT_PROTOCOL says, else
            "additive"; a program that says another one than these is refused. "plain" hides nothing and runs alone.
        bits: fraction bits of shared numbers; the numbers themselves must stay below 2^(61 - 2 * bits).
        party: this rank, if it is connected already; otherwise it is taken from mpirun's or jointfit's environment.
            In a job (`jointfit party`) the job says all else but ``device``; arguments must be the job's or default.
        rounding: how a product loses its surplus fraction bits. "chance": to one of the two neighbours, so that the
            mean is right; "faithful": to the floor, at more cost, see "Rounding" in mpc/README.md.
        device: where this rank's shares live, "cpu", "cuda" or "cuda:1"; ranks may differ. See Devices in README.md.
        parameters: public settings of the program that must be equal on all ranks (numbers, texts, lists).
        program: name of the program, compared instead of a hash of the main script.
        correlations: the file that `jointfit deal` wrote for this rank, or its folder; then no rank is a dealer. By
            default what `jointfit run --correlations` says, else a dealer takes part.
        agreed: what the institutions agreed on: the complete list of reveals, limits, and this rank's log. Without it
            every reveal that the ranks name alike is allowed, and nothing is logged or limited.
        checkpoints: where this rank keeps the state of loops over `steps`, and whether it resumes them. Its key is
            erased at the end.
        report: where each rank writes a page about the run when it ends: a folder, or a file NAME.html. See README.md.
        options: handed to the protocol.

    Raises:
        ConfigurationError: no ranks to be found, others than the protocol wants (on every rank, before anything is
            shared), an unknown protocol or rounding, two different protocols, no such device; or a rank cannot use its
            file of correlations, see `mpc.offline.take`.
        DisagreementError: ranks differ in version, protocol, bits, rounding, program, parameters, job, checkpoints, or
            deal.
        LogError: this rank's log of reveals cannot be used; see `mpc.journal`.

    >>> with mpc.session(protocol="plain") as session:  # one process, in the clear: to try a program
    ...     session.reveal(session.share(torch.ones(2), owner=0).sum())
    tensor(2.)
    """
    if party is None and (stand_in := STAND_IN.get()) is not None:
        options |= {"rounding": rounding, "device": device, "parameters": parameters, "program": program}
        options |= stand_in.options
        return stand_in.opened(session(stand_in.settled(protocol), bits, stand_in.take(), **options))
    if party is None and JOB in os.environ:
        from mpc.jobs.opening import open_session

        return open_session(device, report, protocol=protocol, bits=bits, rounding=rounding)
    place = correlations if isinstance(correlations, Place) else Place(Path(correlations) if correlations else None)
    name = of_process(protocol) if party is None else chosen(protocol)
    if party is None:
        party, place = start(name, place)
    try:
        options |= {"rounding": rounding, "parameters": parameters, "program": program, "agreed": agreed}
        return Session(party, name, bits, device, place, checkpoints, report, **options)
    except BaseException as error:
        party.fail(error)
        if checkpoints is not None:
            checkpoints.erase()
        raise


class Session(Seat):
    """One run of a program by several ranks. Made by `mpc.session`; see there for the arguments and errors.

    Attributes:
        party, protocol, encoding: the layers below.
        stream: public random numbers, the same on all ranks, for masks of shared tensors (dropout).
        rank, size, computing, clients, role, is_client, is_dealer: who this rank is and how many there are.
        counts: bytes, messages and rounds by phase and label.
        device, dealt, rounding: where this rank's shares live; bytes of corrections in files, None with a dealer.
        agreed, policy, journal: what all ranks agreed on, None without; the list of reveals as far as it is used up;
            this rank's log of them, or None.
        checkpoints, loops: see `steps`; the id of each loop's last checkpoint.
        facts: what was compared with the other ranks when the session started.
        ordinary: torch's own generator of this rank, None if it cannot be told apart from those of other ranks.
        reveals: one line for everything that was revealed so far: what, its shape, and to which ranks.
        inputs: of a planner: shapes and types of the inputs so far, by the label of their step.
        profiler: what `mpc.profile` accounts with, None outside of it; ``account``: the same, kept until the next one.
        pulse, report: what tells the live view of `--progress`; what the run's page is made from; None without.
    """

    profiler: Profiler | None = None
    account: Profiler | None = None

    def __init__(
        self,
        party: Party,
        protocol: str,
        bits: int,
        device: str | torch.device,
        place: Place,
        checkpoints: Checkpoints | None = None,
        report: str | Path | None = None,
        *,
        parameters: Mapping[str, Any] | None = None,
        program: str | None = None,
        agreed: Agreed | None = None,
        **options: Any,
    ) -> None:
        files, keeps = place.files is not None, checkpoints is not None
        check_party(protocol, party, files=files, keeps=keeps)
        self.party, self.rounding = party, str(options.get("rounding", "chance"))
        self.encoding, self._steps = Encoding(bits), 0
        self.reveals: list[str] = []
        self.inputs: dict[str, Known] = {}
        self.agreed, self.policy = agreed, Policy(agreed, party.size)
        self.checkpoints, self.loops = checkpoints, list[str]()
        self.facts = facts_of_run(f"{protocol}, {bits} bits", options, parameters or {}, program, agreed)
        agree_on_run(party, self.facts)
        party.agree("checkpoints", (checkpoints.fact if checkpoints else "none").encode())
        if checkpoints is not None and checkpoints.resume and (place.files is not None or place.out is not None):
            raise ConfigurationError("got files of correlations, and is to resume: a deal beforehand cannot know where")
        if agreed is not None:
            party.limits = Limits(agreed.seconds, agreed.bytes, party.counts.bytes_sent + party.counts.overhead_bytes)
        self.journal = None if agreed is None or self.is_planner else journal(agreed, party)
        with ExitStack() as undo:
            if self.journal is not None:
                undo.callback(self.journal.close)
            given = source(place, party, self.facts)
            self.dealt = None if given is None else given.dealt
            if given is not None:
                options["source"] = undo.enter_context(closing(given))
            self.protocol: Protocol = protocols.make(protocol, party, bits=bits, device=device, **options)
            undo.callback(self.protocol.close)
            check_needs(protocol, self.protocol.needs, party, files=files, keeps=keeps)
            self.stream = Stream(align(party, generator(given)))
            self.protocol_name, self.device = protocol, self.protocol.device
            self.report = begin(self, report)
            undo.pop_all()
        self.protocol.before_reveal = self.policy.pass_through
        threads = isinstance(party, DryParty | SoloParty) or party.channel.transport == "threads"
        self.ordinary: Ordinary | Stream | None = None if threads else Ordinary()
        current.opened(self)
        self.pulse = pulse_of(self)

    def __repr__(self) -> str:
        return f"Session(rank {self.rank} of {self.size}, {self.role.value}, protocol {self.protocol_name})"

    _repr_html_ = show_session

    def __enter__(self) -> Self:
        current.entered(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; after an error, tell the other ranks, which then end with an error that names this one."""
        with written(self.report, error):
            try:
                self._end(error)
            finally:
                current.closed(self)

    def _end(self, error: BaseException | None) -> None:
        try:
            if error is None:
                self.protocol.finish()
            else:
                self.party.fail(error)
        except BaseException as late:
            self.party.fail(late)
            raise
        finally:
            if self.pulse is not None:
                self.pulse.close()
            self.protocol.close()
            if self.journal is not None:
                self.journal.close()
            if self.checkpoints is not None:
                self.checkpoints.erase()
        if error is None:
            self.party.close()
            total = self.counts.total()
            sent = total.bytes_sent + self.counts.overhead_bytes
            facts = {"event": "closed", "rounds": total.rounds, "bytes_sent": sent}
            _log.info("session closed: %d rounds, %.1f MB sent", total.rounds, sent / 1e6, extra=facts)

    def bound(self, compute: Callable[[], Any]) -> Callable[[], Any]:
        """What is computed later, in whose profile it counts for where the program is now."""
        compute = self.protocol.bound(compute)
        return compute if self.profiler is None else self.profiler.recorder.bound(compute)

    # In -------------------------------------------------------------------------------------------------------------

    @property
    def is_planner(self) -> bool:
        """Whether this session has no peers: it counts, deals beforehand or measures; see `mpc.plan`, `mpc.deal`."""
        return isinstance(self.party, DryParty | SoloParty) and self.size > 1

    @property
    def on_shapes(self) -> bool:
        """Whether this rank goes through the program on shapes alone, so that values do not matter."""
        return (isinstance(self.party, DryParty) and self.size > 1) or self.device.type == "meta"

    @counts_as("share")
    def share(
        self, data: Any, owner: int, *, dtype: torch.dtype | None = None, shape: Sequence[int] | None = None
    ) -> SharedTensor:
        """Share the owner's data: rank ``owner`` passes it, everybody else passes None.

        Arguments:
            data: a tensor, an array, a data frame or nested lists, of real numbers, integers or truth values.
            owner: a computing rank, or a client's.
            dtype: convert to this type first.
            shape: what the data must look like; other shapes are refused. A planner needs it for data it has not.

        Returns:
            The shared tensor, of the owner's shape and type, on every rank. Truth values become shared bits.

        Raises:
            ConfigurationError: on every rank alike and before any data moves: an owner that is the dealer or no rank,
                or passed nothing; another rank that passed data; data of an unknown kind, with NaN or infinity, or
                out of range.
            DisagreementError: the ranks name different owners.

        Reveals shape and type to all ranks. Cost: two rounds.

        >>> session.share(torch.ones(2, 3), owner=0)
        SharedTensor(shape=(2, 3), dtype=torch.float32, protocol='plain')
        """
        return sharing.share(self, data, owner, dtype, shape)

    @counts_as("share")
    def share_rows(self, part: Any, *, dtype: torch.dtype | None = None, shape: Shapes = None) -> SharedTensor:
        """Share a table whose rows lie with several owners: each passes its rows, ranks without any pass None.

        Returns one shared tensor with the rows of rank 0 first. Reveals how many rows each owner has. ``shape`` is what
        the whole table must look like, or what each owner's part must, ``{0: (300, 30), 1: (200, 30)}``; a planner
        needs one of them, dealing beforehand the second. Raises as `share` does, and ConfigurationError if the parts
        differ in type or in any size but the first.
        """
        return sharing.share_parts(self, part, dtype, 0, shape)

    @counts_as("share")
    def share_columns(self, part: Any, *, dtype: torch.dtype | None = None, shape: Shapes = None) -> SharedTensor:
        """Share a table whose columns lie with several owners: each passes its columns, of the same rows in the same
        order; ranks without any pass None.

        Returns one shared tensor with the columns of rank 0 first. Reveals how many columns each owner has. ``shape``:
        as in `share_rows`. Raises as `share` does, and ConfigurationError if the parts differ in type or in any size
        but the second.
        """
        return sharing.share_parts(self, part, dtype, 1, shape)

    # Out ------------------------------------------------------------------------------------------------------------

    @counts_as("reveal")
    def reveal(self, tensor: Tensor, to: Recipients = None, name: str | None = None) -> Tensor | None:
        """Open a shared tensor to computing ranks or clients: one, a list, or (None) all computing ranks.

        Arguments:
            name: what the list of reveals that was agreed on calls it; needed where there is one.

        Returns:
            A plain tensor of the same shape and type on the ranks in ``to``, None on the others and on a dealer.
            Public tensors come back as they are.

        Raises:
            ConfigurationError: a recipient that is the dealer or no rank.
            RevealRefused: there is an agreed list, and no line of it allows this name, these ranks and this shape once
                more. Every rank raises it, and the session can go on.
            DisagreementError: the computing ranks name different recipients, names or shapes, or hold different
                values of what was opened before (see protocols/transcript.py). The session is over.
            LogError: a rank cannot write its log of reveals. The session is over.
            In all these cases nothing is opened.

        Reveals the values to the ranks in ``to``, and notes so in `reveals`. Cost: two rounds, in one of which the
        computing ranks compare 32 bytes.
        """
        return revealing.reveal(self, tensor, to, name)

    def settle(self, tensors: Iterable[Tensor]) -> None:
        """Do now what is still queued for these tensors, ``model.parameters()`` say; reveals nothing.

        Operations return at once and are sent when a value is first needed, so a training loop that reveals nothing
        keeps all its steps in memory until the end. Call this once an epoch.
        """
        shares = [t.protocol_share for t in tensors if isinstance(t, SharedTensor) and t.is_secret]
        with unobserved():
            self.protocol.settle(*shares)

    # Models ---------------------------------------------------------------------------------------------------------

    @counts_as("share")
    def share_module(self, module: torch.nn.Module, owner: int | None = None) -> Any:
        """Share the parameters and buffers of a module, in place; see `mpc.module.share_module`."""
        from mpc.module import share_module

        return share_module(self, module, owner)

    @counts_as("reveal")
    def reveal_module(self, module: torch.nn.Module, to: Recipients = None, name: str | None = "model") -> Any:
        """A plain copy of a shared module on the ranks in ``to``, None elsewhere; see `mpc.module.reveal_module`."""
        from mpc.module import reveal_module

        return reveal_module(self, module, to, name)

    @counts_as("setup")
    def save_module(
        self, module: torch.nn.Module, folder: str | Path, optimizer: Optimizer | None = None
    ) -> Path | None:
        """Save this rank's shares of a module; see `mpc.saving.save_module`."""
        from mpc.saving import save_module

        return save_module(self, module, folder, optimizer)

    @counts_as("setup")
    def load_module(self, module: torch.nn.Module, folder: str | Path, optimizer: Optimizer | None = None) -> Any:
        """Load the shares that `save_module` wrote into a module of the same kind; see `mpc.saving.load_module`."""
        from mpc.saving import load_module

        return load_module(self, module, folder, optimizer)

    def steps(self, total: int, module: torch.nn.Module, optimizer: Optimizer | None, *others: Any) -> Iterator[int]:
        """``for step in session.steps(100, model, optimizer):`` with checkpoints; see `mpc.checkpoints.steps`."""
        found = steps(self, total, module, optimizer, others)
        return found if self.pulse is None else self.pulse.through(found, total)

    # Order ----------------------------------------------------------------------------------------------------------

    @counts_as("setup")
    def permutation(self, n: int, seed: int = 0) -> Tensor:
        """A public random order of n rows, the same on all ranks; never for secrets. Cost: one empty round."""
        self.same(self.step(f"permutation of {n}, seed {seed}"))
        return permutation(n, seed)

    @counts_as("setup")
    def batches(self, n: int, size: int, seed: int = 0, epoch: int = 0) -> Iterator[Tensor]:
        """Index tensors of one epoch over n rows in a public random order, the same on all ranks. One empty round."""
        self.same(self.step(f"batches of {n} by {size}, seed {seed}, epoch {epoch}"))
        return iter(batches(n, size, seed, epoch))

    def step(self, what: str) -> str:
        """A numbered label for the next step of the program."""
        return f"{what} (step {self.step_number()})"

    def step_number(self) -> int:
        """Of the next step of the program."""
        self._steps += 1
        return self._steps

    def same(self, label: str) -> None:
        """Compare among the computing ranks that they are at the same step. Cost: one empty round."""
        if self.role is Role.COMPUTING:
            peers = self.party.peers
            self.party.exchange(dict.fromkeys(peers, b""), dict.fromkeys(peers, 0), label, phase="setup")

    def check_rank(self, label: str, what: str, rank: Any) -> None:
        """Raise ConfigurationError unless ``rank`` is a computing rank or a client's."""
        if not isinstance(rank, int) or isinstance(rank, bool) or not 0 <= rank < self.clients.stop:
            deals = rank is not None and rank == self.party.dealer
            dealer = "; that is the dealer, which holds no data" if deals else ""
            beside = f", or a client, {self.clients.start} … {self.clients.stop - 1}" if self.clients else ""
            want = f"a computing rank, 0 … {self.computing - 1}{beside}"
            raise ConfigurationError(f"{label}: {what} {rank!r}; want {want}{dealer}")

    def summary(self) -> str:
        """A few lines: what this rank sent in each phase, the labels that cost most, and what was revealed."""
        return summary(self)
