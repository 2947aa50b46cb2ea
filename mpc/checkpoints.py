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
from mpc.manifest import Manifest, Parts, agree, check_settings, collect, digest, fit, pack, restore, restored, unpack
from mpc.module import structure
from mpc.randomness import Ordinary, Stream
from mpc.states import states_of, states_to
from parties import ConfigurationError, DryParty
from parties.sealing import Sealer

if TYPE_CHECKING:
    from mpc.session import Session

_LOG = logging.getLogger(__name__)
_FORMAT = "jointfit checkpoint 1"
_NAME = re.compile(r"loop-(\d{3,})-step-(\d{9,})-([0-9a-f]{32})\.checkpoint(\.draft)?")
_KEPT = 2
_SHOWN = 8


@dataclass(frozen=True)
class Checkpoints:
    """Where a session keeps its checkpoints: ``mpc.session(checkpoints=Checkpoints(...))``, on every rank.

    Arguments:
        folder: of this party and this job alone, made if it is not there. None on ranks that hold no shares.
        every: steps from one checkpoint to the next, the same on all ranks.
        sealer: of this party's key; None on ranks that hold no shares.
        resume: go on from the newest checkpoint that all have, the same on all ranks. False refuses a folder that
            holds any.
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
    def key(self) -> tuple[int, str, str]:
        """What has to be equal on all ranks that have it."""
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

    Raises, on every rank alike:
        ConfigurationError: a rank cannot write, or cannot keep what it got; there is no checkpoint that all have,
            though some have one; it is of another run or program; or some are there though the session does not
            resume.
        DisagreementError: ranks would keep different public values, or have different architectures.

    Reveals nothing. Cost: a round of announcements at the start, two for each checkpoint.
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
        self._kept: list[Path] = []

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
            manifest |= {"others": plain, "stream": session.stream.text, "reveals": session.policy.used}
            record["manifest"] = digest(manifest)
        except ConfigurationError as error:
            record["error"] = message(error)
        records = announce(session.party, label, record)
        refuse_errors(label, records)
        refuse_differences(label, "manifest", records, "what is to be kept")
        save = str(records[0].get("id"))
        alike = len({str(each.get("torch")) for each in records}) == 1
        manifest |= {"id": save, "torch": session.ordinary.text if alike and session.ordinary else None}
        outcome: Record = {"error": None}
        draft = None
        try:
            draft = self._draft(parts, manifest | {"rank": session.rank}, done, save)
        except OSError as error:
            outcome["error"] = f"cannot write a checkpoint: {error.strerror}"
        except ConfigurationError as error:
            outcome["error"] = message(error)
        try:
            refuse_errors(label, announce(session.party, f"{label} written", outcome))
        except ConfigurationError:
            if draft is not None:
                draft.unlink(missing_ok=True)
            raise
        session.loops[self._place - 1] = save
        if draft is not None:
            self._publish(draft)

    def resume(self) -> int:
        """Put back the newest checkpoint that all have; returns the steps done, 0 if nobody has any.

        Cost: one round of announcements; if there is a checkpoint, a broadcast of what is public in it.
        """
        session = self._session
        label = session.step(f"checkpoints of loop {self._place}")
        if isinstance(session.party, DryParty):
            return 0
        record: Record = {"structure": None, "have": [], "refused": "", "files": 0, "error": None}
        have: dict[tuple[int, str, str], Found] = {}
        try:
            record["structure"] = structure(self._module)
            if self._holds:
                files = self._files()
                record["files"] = sum(path.suffix != ".draft" for _, path in files)
                if self._settings.resume:
                    have, record["refused"] = self._look(files)
                    record["have"] = sorted(have, reverse=True)[:_SHOWN]
        except ConfigurationError as error:
            record["error"] = message(error)
        records = announce(session.party, label, record)
        refuse_errors(label, records)
        refuse_differences(label, "structure", records, "the architecture")
        holders = records[: session.computing]
        if not self._settings.resume:
            _refuse_files(label, holders)
            return 0
        common = set.intersection(*[{tuple(each) for each in record["have"]} for record in holders])
        if not common:
            _refuse_some(label, holders)
            for _, path in self._files() if self._holds else []:
                path.unlink(missing_ok=True)
            _LOG.info("%s: nobody has any; starting at step 0", label)
            return 0
        return self._restore(label, have, max(common))

    def _restore(self, label: str, have: dict[tuple[int, str, str], Found], key: tuple[int, str, str]) -> int:
        session = self._session
        parts: Parts = {}
        manifest: Manifest = {}
        if self._holds:
            parts, manifest = self._open(have[key].path)
        manifest = agree(session, label, manifest, [key[2]])
        if not self._holds:
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
        if self._holds:
            self._clean(have, key)
            self._publish(have[key].path)
        _LOG.info("%s: going on after step %d of %d", label, step, self._total)
        return step

    # Files ----------------------------------------------------------------------------------------------------------

    @property
    def _holds(self) -> bool:
        return self._session.rank < self._session.computing and not isinstance(self._session.party, DryParty)

    def _about(self, done: int) -> Manifest:
        """What a checkpoint says of where it belongs; the previous loop's last one is part of it."""
        loops = self._session.loops
        previous = loops[self._place - 2] if self._place > 1 else ""
        facts = self._session.facts
        return {"format": _FORMAT, "facts": facts, "loop": self._place, "previous": previous, "step": done}

    def _place_of(self) -> tuple[Path, Sealer]:
        folder, sealer = self._settings.folder, self._settings.sealer
        if folder is None or sealer is None:
            raise ConfigurationError("checkpoints without a folder or a key; a rank that holds shares wants both")
        return folder, sealer

    def _draft(self, parts: Parts, manifest: Manifest, done: int, save: str) -> Path | None:
        if not self._holds:
            return None
        folder, sealer = self._place_of()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"loop-{self._place:03d}-step-{done:09d}-{save}.checkpoint.draft"
        sealer.seal(pack(parts, manifest), path)
        _sync(folder)
        return path

    def _clean(self, have: dict[tuple[int, str, str], Found], key: tuple[int, str, str]) -> None:
        """Remove drafts, and later steps that are done again, but not the one to go on from, nor what is not ours."""
        later = [found.path for found in have.values() if found.step >= key[0]]
        drafts = [path for _, path in self._files() if path.suffix == ".draft"]
        for path in {*later, *drafts} - {have[key].path}:
            path.unlink(missing_ok=True)
        self._kept = [found.path for _, found in sorted(have.items()) if found.path.exists() and found.step < key[0]]

    def _publish(self, path: Path) -> None:
        """Take the draft into the list of files, and remove all but the newest ones."""
        try:
            if path.suffix == ".draft":
                path = path.replace(path.with_suffix(""))
            _sync(path.parent)
            self._kept.append(path)
            while len(self._kept) > _KEPT:
                self._kept.pop(0).unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"cannot rename a checkpoint: {error.strerror}") from error

    def _files(self) -> list[tuple[int, Path]]:
        """Files and drafts of this loop, by step."""
        folder, _ = self._place_of()
        try:
            names = [_NAME.fullmatch(path.name) for path in folder.iterdir()] if folder.exists() else []
        except OSError as error:
            raise ConfigurationError(f"cannot look into {folder.name}: {error.strerror}") from None
        mine = [name for name in names if name and int(name[1]) == self._place]
        return sorted((int(name[2]), folder / name[0]) for name in mine)

    def _look(self, files: list[tuple[int, Path]]) -> tuple[dict[tuple[int, str, str], Found], str]:
        """What opens and fits, and why the newest of the others does not."""
        have: dict[tuple[int, str, str], Found] = {}
        refused = ""
        for step, path in files:
            try:
                _, manifest = self._open(path)
                self._fit(manifest, path.name)
            except ConfigurationError as error:
                _LOG.warning("rank %d, step %d: %s", self._session.rank, step, error)
                refused = message(error)
                continue
            found = Found(step, str(manifest["id"]), manifest, path)
            have[found.key] = found
        return have, refused

    def _open(self, path: Path) -> tuple[Parts, Manifest]:
        """A file's parts and its manifest without the rank."""
        _, sealer = self._place_of()
        parts, manifest = unpack(bytes(sealer.open(path)), path.name)
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


def _sync(folder: Path) -> None:
    """Wait until a folder's names are on the disk."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _refuse_files(label: str, holders: list[Record]) -> None:
    found = [f"rank {rank} has {record['files']}" for rank, record in enumerate(holders) if record.get("files")]
    if found:
        text = "; ".join(found)
        raise ConfigurationError(f"{label}: {text}, of an earlier run; resume, or remove them")


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
