"""Checkpoints: a training loop that goes on after a crash of any ranks where all of them were last.

Every N steps each computing rank seals its shares of module, optimiser and what else belongs to the loop, with the
step, all public state and the position of the public random stream, in a file that it alone can open; see
`parties.sealing`.

Two phases: all write drafts and wait for their disks, announce so, then rename. So once one rank has renamed, every
rank has a complete draft, and a draft that opens counts as a file: at any moment there is a step that all have. On
resuming, the ranks announce what they hold that opens and fits, and take the newest that all have.

Secrets and masks: a resumed session has a new session id and new seeds. Seeds, generators and the dealer's counters
are in no checkpoint, so nothing can rewind them, and no mask comes twice.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn
from torch.optim import Optimizer

from mpc.announce import Record, announce, message, refuse_differences, refuse_errors
from mpc.checkpoint_files import Files, is_draft
from mpc.manifest import Manifest, Parts, agree, check_settings, collect, digest, fit, restore, restored
from mpc.module import structure
from mpc.randomness import Ordinary, Stream
from mpc.states import states_of, states_to
from parties import ConfigurationError, WireError
from parties.sealing import Sealer

if TYPE_CHECKING:
    from mpc.session import Session

__all__ = ["Checkpoints", "steps"]

_LOG = logging.getLogger(__name__)
_FORMAT = "jointfit checkpoint 1"
_SHOWN = 8

Key = tuple[int, str, str]
"""Step, id of the save, and hash of the manifest: what has to be equal on all ranks that have a checkpoint."""


@dataclass(frozen=True)
class Checkpoints:
    """Where a session keeps its checkpoints: ``mpc.session(checkpoints=Checkpoints(...))``, on every rank.

    Arguments:
        folder: of this party and this job alone, made if it is not there. None on ranks that hold no shares.
        every: steps from one checkpoint to the next, the same on all ranks.
        sealer: of this party's key; None on ranks that hold no shares.
        resume: go on from the newest checkpoint that all have, the same on all ranks. False refuses a folder that
            holds any.

    >>> from parties.sealing import Sealer
    >>> key = bytes(32)  # for the example; `Sealer.from_file("hospital_a.key", ...)` in earnest
    >>> def kept(rank, resume=False):  # rank 2 is the dealer
    ...     folder, sealer = (Path("kept", str(rank)), Sealer(key, f"example {rank}")) if rank < 2 else (None, None)
    ...     return mpc.Checkpoints(folder, 2, sealer, resume)
    >>> def program(session):
    ...     model = session.share_module(torch.nn.Linear(2, 1))
    ...     return list(session.steps(5, model, None))
    >>> mpc.simulate(3, program, checkpoints=kept)[0]
    [0, 1, 2, 3, 4]
    """

    folder: Path | None
    every: int
    sealer: Sealer | None
    resume: bool = False

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigurationError(f"checkpoints every {self.every} steps; want 1 or more")

    @property
    def fact(self) -> str:
        """What ranks compare when a session starts."""
        return f"every {self.every} steps, {'resumed' if self.resume else 'from the beginning'}"

    def erase(self) -> None:
        """Forget the key: the session is over."""
        if self.sealer is not None:
            self.sealer.erase()


class Found(NamedTuple):
    """A checkpoint of this rank that opens and fits."""

    step: int
    save: str
    manifest: Manifest
    path: Path

    @property
    def key(self) -> Key:
        """What has to be equal on all ranks."""
        return self.step, self.save, digest(self.manifest)


def steps(
    session: Session, total: int, module: nn.Module, optimizer: Optimizer | None, others: tuple[Any, ...]
) -> Iterator[int]:
    """The steps of a training loop that are still to be done, 0 … total - 1 without checkpoints.

    With them, whenever the loop asks for the next step after every N, and at the end, this rank's shares of all
    arguments are kept. If the session resumes, the arguments get the state of the newest checkpoint that all ranks
    have, and the loop goes on from there. A program with several loops makes them in the same order every time.

    Arguments:
        total: steps of the whole loop.
        module: shared, as the program makes it before the first step.
        optimizer: on its parameters; None if there is none.
        others: further things with ``state_dict`` and ``load_state_dict``, such as schedulers: tensors, shared or
            public, numbers, texts, and lists of them.

    All errors come on every rank alike.

    Raises:
        ConfigurationError: a rank cannot write, or cannot keep what it got; there is no checkpoint that all have,
            though some have one; it is of another run or program; or some are there though the session does not
            resume.
        DisagreementError: ranks would keep different public values, or have different architectures.

    Reveals nothing. Cost: a round of announcements at the start, two for each checkpoint.

    >>> model = session.share_module(torch.nn.Linear(2, 1))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> for step in session.steps(3, model, optimizer):
    ...     optimizer.zero_grad()
    ...     model(torch.ones(1, 2)).sum().backward()
    ...     optimizer.step()
    >>> step
    2
    """
    if total < 0:
        raise ConfigurationError(f"{total} steps; want 0 or more")
    if session.checkpoints is None:
        yield from range(total)
        return
    loop = Loop(session, session.checkpoints, total, module, optimizer, others)
    for step in range(loop.resume(), total):
        yield step
        if (step + 1) % session.checkpoints.every == 0 or step + 1 == total:
            loop.save(step + 1)


class Loop:
    """One training loop of a session, and its checkpoints."""

    def __init__(
        self,
        session: Session,
        settings: Checkpoints,
        total: int,
        module: nn.Module,
        optimizer: Optimizer | None,
        others: tuple[Any, ...],
    ) -> None:
        self._session, self._settings, self._total = session, settings, total
        self._module, self._optimizer, self._others = module, optimizer, others
        session.loops.append("")
        self._place = len(session.loops)
        self._files: Files | None = None

    def save(self, done: int) -> None:
        """Keep the state after ``done`` steps. Raises ConfigurationError on every rank alike if one cannot.

        Reveals nothing. Cost: two rounds of announcements.
        """
        session = self._session
        label = session.step(f"checkpoint after {done} steps")
        parts: Parts = {}
        manifest: Manifest = {}
        record: Record = {"id": os.urandom(16).hex(), "manifest": None, "torch": _hash(session.ordinary), "error": None}
        try:
            tensors, plain = states_of(self._others)
            parts, manifest = collect(session, self._module, self._optimizer, tensors)
            manifest |= self._about(done)
            manifest |= {"others": plain, "stream": session.stream.text, "reveals": list(session.policy.used)}
            record["manifest"] = digest(manifest)
        except ConfigurationError as error:
            record["error"] = message(error)
        records = announce(session.party, label, record)
        refuse_errors(label, records)
        refuse_differences(label, "manifest", records, "what is to be kept")
        save = str(records[0].get("id"))
        if not re.fullmatch("[0-9a-f]{32}", save):
            raise WireError(f"{label}: rank 0 sent an id of {len(save)} characters; want 32 hexadecimal digits", rank=0)
        alike = len({str(each.get("torch")) for each in records}) == 1
        manifest |= {"id": save, "torch": session.ordinary.text if alike and session.ordinary else None}
        outcome: Record = {"error": None}
        draft = None
        try:
            if self._files is not None:
                draft = self._files.write(parts, manifest | {"rank": session.rank}, done, save)
        except ConfigurationError as error:
            outcome["error"] = message(error)
        try:
            refuse_errors(label, announce(session.party, f"{label} written", outcome))
        except ConfigurationError:
            if draft is not None:
                draft.unlink(missing_ok=True)
            raise
        session.loops[self._place - 1] = save
        if self._files is not None and draft is not None:
            self._files.publish(draft)
        _LOG.info("%s: all have it", label, extra={"event": "checkpoint", "steps": done})

    def resume(self) -> int:
        """Put back the newest checkpoint that all have; returns the steps done, 0 if nobody has any.

        Cost: one round of announcements; if there is a checkpoint, a broadcast of what is public in it.
        """
        session = self._session
        label = session.step(f"checkpoints of loop {self._place}")
        if session.is_planner:
            return 0
        record: Record = {"structure": None, "have": [], "refused": "", "files": 0, "error": None}
        have: dict[Key, Found] = {}
        try:
            record["structure"] = structure(self._module)
            if session.rank < session.computing:
                self._files = self._opened()
                record["files"] = sum(not is_draft(path) for _, path in self._files.find())
                if self._settings.resume:
                    have, record["refused"] = self._look(self._files)
                    record["have"] = [list(key) for key in sorted(have, reverse=True)[:_SHOWN]]
        except ConfigurationError as error:
            record["error"] = message(error)
        records = announce(session.party, label, record)
        refuse_errors(label, records)
        refuse_differences(label, "structure", records, "the architecture")
        holders = records[: session.computing]
        if not self._settings.resume:
            _refuse_files(label, holders)
            return 0
        common = set.intersection(*_claims(holders))
        if not common:
            _refuse_some(label, holders)
            for _, path in self._files.find() if self._files is not None else []:
                path.unlink(missing_ok=True)
            _LOG.info("%s: nobody has any; starting at step 0", label)
            return 0
        return self._restore(label, have, max(common))

    def _restore(self, label: str, have: dict[Key, Found], key: Key) -> int:
        session = self._session
        parts: Parts = {}
        manifest: Manifest = {}
        if self._files is not None:
            parts, manifest = self._open(self._files, have[key].path)
        manifest = agree(session, label, manifest, [key[2]])
        if self._files is None:
            self._fit(manifest, "the checkpoint")
        tensors = {n: restored(session, manifest, parts, n) for n in manifest["tensors"] if n.startswith("other.")}
        restore(session, manifest, parts, self._module, self._optimizer)
        states_to(self._others, tensors, manifest["others"])
        session.stream.text = manifest["stream"]
        if manifest["torch"] is not None and session.ordinary is not None:
            session.ordinary.text = manifest["torch"]
        used = zip(session.policy.used, manifest["reveals"], strict=True)
        session.policy.used = [max(pair) for pair in used]
        step, save, _ = key
        session.loops[self._place - 1] = save
        if self._files is not None:
            earlier = [found.path for _, found in sorted(have.items()) if found.step < step]
            later = [found.path for found in have.values() if found.step >= step]
            self._files.go_on(have[key].path, earlier, later)
        _LOG.info("%s: going on after step %d of %d", label, step, self._total)
        return step

    def _opened(self) -> Files:
        folder, sealer = self._settings.folder, self._settings.sealer
        if folder is None or sealer is None:
            raise ConfigurationError("checkpoints without a folder or a key; a rank that holds shares wants both")
        return Files(folder, sealer, self._place)

    def _about(self, done: int) -> Manifest:
        """What a checkpoint says of where it belongs; the previous loop's last one is part of it."""
        loops = self._session.loops
        previous = loops[self._place - 2] if self._place > 1 else ""
        facts = self._session.facts
        return {"format": _FORMAT, "facts": facts, "loop": self._place, "previous": previous, "step": done}

    def _look(self, files: Files) -> tuple[dict[Key, Found], str]:
        """What opens and fits, and why the newest of the others does not."""
        have: dict[Key, Found] = {}
        refused = ""
        for step, path in files.find():
            try:
                _, manifest = self._open(files, path)
                self._fit(manifest, path.name)
            except ConfigurationError as error:
                _LOG.warning("rank %d, step %d: %s", self._session.rank, step, error)
                refused = message(error)
                continue
            found = Found(step, str(manifest["id"]), manifest, path)
            have[found.key] = found
        return have, refused

    def _open(self, files: Files, path: Path) -> tuple[Parts, Manifest]:
        """A file's parts and its manifest without the rank."""
        parts, manifest = files.read(path)
        check_settings(manifest, self._session, path.name)
        manifest.pop("rank")
        return parts, manifest

    def _fit(self, manifest: Manifest, name: str) -> None:
        """Raise ConfigurationError unless this loop can go on from it."""
        done = manifest.get("step")
        if not isinstance(done, int) or not 0 < done <= self._total:
            raise ConfigurationError(f"{name} is of step {done}; the loop has {self._total}")
        want = self._about(done)
        for key in ("format", "loop", "previous"):
            if manifest.get(key) != want[key]:
                text = f"{key} {str(manifest.get(key))[:40]}; want {str(want[key])[:40]}"
                raise ConfigurationError(f"{name} is of another run: it has {text}")
        for key, value in want["facts"].items():
            got = str(manifest.get("facts", {}).get(key))
            if got != value:
                raise ConfigurationError(f"{name} was saved with {key} {got[:60]}; this session has {value[:60]}")
        fit(manifest, self._module, self._optimizer)
        if len(manifest["others"]) != len(self._others):
            raise ConfigurationError(f"{name} has {len(manifest['others'])} other states; got {len(self._others)}")


def _hash(stream: Ordinary | Stream | None) -> str | None:
    return None if stream is None else hashlib.sha256(stream.text.encode()).hexdigest()


def _claims(records: list[Record]) -> list[set[Key]]:
    """What each rank says it has. Raises WireError for what is no list of steps, ids and hashes."""
    claims: list[set[Key]] = []
    for rank, record in enumerate(records):
        have = record.get("have")
        if not isinstance(have, list) or not all(
            isinstance(key, list) and [type(each) for each in key] == [int, str, str] for key in have
        ):
            raise WireError(f"rank {rank} sent a malformed list of checkpoints", rank=rank)
        claims.append({(step, save, text) for step, save, text in have})
    return claims


def _refuse_files(label: str, holders: list[Record]) -> None:
    found = [f"rank {rank} has {record['files']}" for rank, record in enumerate(holders) if record.get("files")]
    if found:
        remedy = "resume (jointfit party --resume), or remove them"
        raise ConfigurationError(f"{label}: {'; '.join(found)}, of an earlier run; {remedy}")


def _refuse_some(label: str, holders: list[Record]) -> None:
    """Raise ConfigurationError if some rank has files though no checkpoint is common to all."""
    if not any(record.get("files") for record in holders):
        return
    texts = []
    for rank, record in enumerate(holders):
        known = ", ".join(sorted({str(each[0]) for each in record["have"]}, key=int)) or "none that it can use"
        why = f" ({record['refused']})" if record.get("refused") else ""
        texts.append(f"rank {rank} has {f'steps {known}' if record['have'] else known}{why}")
    raise ConfigurationError(f"{label}: none that all ranks have: {'; '.join(texts)}")
