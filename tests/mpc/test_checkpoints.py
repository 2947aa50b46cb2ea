"""Training goes on after a crash of any rank, from where all were last, and draws nothing twice."""

import errno
import gc
import shutil
import stat
import weakref
from pathlib import Path

import pytest
import torch
from torch import nn

import mpc
import parties.seeds
from mpc.estimators import LinearRegression
from mpc.randomness import seeded
from parties import ConfigurationError, DisagreementError, Generator, JointfitError, WireError
from parties.sealing import Sealer

X = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
Y = X[:, :1] - X[:, 1:2]
STEPS = 5


class Crash(Exception):
    """What a rank's program raises in place of a crash."""


def kept(folder, resume=False, every=2, job="ab12", sealer=Sealer):
    """What each rank passes to its session; each has its own folder and key."""

    def of(rank):
        key = bytes([rank + 1]) * 32
        return mpc.Checkpoints(folder / str(rank), every, sealer(key, f"checkpoints/{job}/{rank}"), resume)

    return of


def shared(session):
    mine = session.rank == 0
    return session.share(X if mine else None, owner=0), session.share(Y if mine else None, owner=0)


def network():
    with seeded(5):
        return nn.Sequential(nn.Dropout(0.25), nn.Linear(4, 1))


def optimiser(kind, parameters):
    return torch.optim.Adam(parameters, lr=0.05) if kind == "adam" else torch.optim.SGD(parameters, 0.1, momentum=0.9)


def trainer(kind="sgd", crash=None, total=STEPS, seen=None):
    """A program that trains with dropout, noise and a schedule, and raises on the rank and at the step given."""

    def program(session):
        x, y = shared(session)
        model = session.share_module(network())
        optimizer = optimiser(kind, model.parameters())
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4], 0.5)
        for step in session.steps(total, model, optimizer, scheduler):
            if crash == (session.rank, step):
                raise Crash
            if seen is not None and session.rank == 0:
                seen.append(step)
            loss = nn.functional.mse_loss(model(x) + 0.1 * torch.rand(1), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
        trained = session.reveal_module(model)
        return None if trained is None else list(trained.state_dict().values())

    return program


def run(program, n=3, seed=1, rounding="faithful", **options):
    torch.manual_seed(seed)
    return mpc.simulate(n, program, rounding=rounding, **options)


def crashed(folder, crash, program=trainer, **options):
    with pytest.raises(Crash):
        run(program(crash=crash), checkpoints=kept(folder, **options))


def names(folder, rank=0):
    return sorted(path.name for path in (folder / str(rank)).iterdir())


def steps_in(folder, rank=0):
    return [int(name.split("-")[3]) for name in names(folder, rank)]


@pytest.fixture(scope="module")
def undisturbed():
    return run(trainer())[0]


def same(got, want):
    assert len(got) == len(want)
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


# Going on ------------------------------------------------------------------------------------------------------------


of_each = pytest.mark.parametrize(("protocol", "parties"), [("additive", 2), ("replicated", 3)])
"""Rounded to the floor, all protocols give the same weights, bit for bit."""


@of_each
@pytest.mark.parametrize(("rank", "step", "first"), [(0, 4, 4), (1, 2, 2), (2, 3, 2)])
def test_after_a_crash_the_weights_are_those_of_the_undisturbed_run(
    tmp_path, undisturbed, rank, step, first, protocol, parties
):
    with pytest.raises(Crash):
        run(trainer(crash=(rank, step)), protocol=protocol, checkpoints=kept(tmp_path))
    seen = []
    results = run(trainer(seen=seen), seed=99, protocol=protocol, checkpoints=kept(tmp_path, resume=True))
    assert seen == list(range(first, STEPS))
    for weights in results[:parties]:
        same(weights, undisturbed)
    assert results[parties:] == [None] * (3 - parties)


@of_each
def test_a_client_crashes_and_takes_part_again(tmp_path, undisturbed, protocol, parties):
    with pytest.raises(Crash):
        run(trainer(crash=(parties, 3)), 4, protocol=protocol, clients=1, checkpoints=kept(tmp_path))
    results = run(trainer(), 4, protocol=protocol, clients=1, checkpoints=kept(tmp_path, resume=True))
    same(results[0], undisturbed)
    assert results[parties:] == [None] * (4 - parties)
    assert sorted(path.name for path in tmp_path.iterdir()) == [str(rank) for rank in range(parties)]


def test_checkpoints_of_another_protocol_are_refused(folder):
    said = refusal(folder, protocol="replicated")
    assert "saved with" in said
    assert "want 3" in said or "replicated" in said


def test_a_protocol_whose_shares_cannot_be_kept_has_none(tmp_path):
    """Every rank hears so before anything is shared, not at the first checkpoint."""

    def begin(party):
        party.agree("there", b"")
        mpc.session("authenticated", party=party, checkpoints=kept(tmp_path)(party.rank))

    def program(party):
        with pytest.raises(JointfitError) as caught:  # found by this rank, or heard from the first that did
            begin(party)
        return str(caught.value), party.counts.total("online").rounds

    want = "shares of protocol 'authenticated' are of no use to another session: run without checkpoints"
    assert [(want in text, rounds) for text, rounds in parties.simulate(3, program)] == [(True, 0)] * 3
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize(("kind", "places"), [("sgd", [2, 4]), ("adam", [3])])
def test_several_crashes_and_adam(tmp_path, kind, places):
    rounding = "chance" if kind == "adam" else "faithful"
    want = run(trainer(kind), rounding=rounding)[0]
    for place in places:
        with pytest.raises(Crash):
            run(trainer(kind, (1, place)), rounding=rounding, checkpoints=kept(tmp_path, place != places[0]))
    got = run(trainer(kind), rounding=rounding, checkpoints=kept(tmp_path, resume=True))[0]
    # reciprocal roots are right but for some units, which depend on random masks
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, atol=2e-4 if kind == "adam" else 0, rtol=0)


def test_what_is_finished_is_not_trained_again(tmp_path, undisturbed):
    same(run(trainer(), checkpoints=kept(tmp_path))[0], undisturbed)
    assert steps_in(tmp_path) == [4, 5]
    seen = []
    same(run(trainer(seen=seen), checkpoints=kept(tmp_path, resume=True))[0], undisturbed)
    assert seen == []
    assert steps_in(tmp_path) == [4, 5]


def test_without_any_checkpoint_it_starts_at_the_beginning(tmp_path, undisturbed):
    crashed(tmp_path, (1, 1))
    seen = []
    same(run(trainer(seen=seen), checkpoints=kept(tmp_path, resume=True))[0], undisturbed)
    assert seen == list(range(STEPS))


def test_an_estimator_goes_on_and_its_losses_are_whole(tmp_path, monkeypatch):
    class Failing(LinearRegression):
        crash = False

        def loss(self, output, y):
            self.done = getattr(self, "done", 0) + 1
            if self.crash and self.done == 4:
                raise Crash
            return super().loss(output, y)

    def program(session, crash=False):
        x, y = shared(session)
        model = Failing(epochs=2, batch=8)
        model.crash = crash and session.rank == 1
        model.fit(x, y)
        return session.reveal(torch.stack(model.losses_)), model.done

    whole, done = run(program, rounding="chance")[0]
    assert done == 4
    with pytest.raises(Crash):
        run(lambda session: program(session, crash=True), rounding="chance", checkpoints=kept(tmp_path, every=3))
    losses, done = run(program, rounding="chance", checkpoints=kept(tmp_path, resume=True, every=3))[0]
    assert done == 1  # in the midst of the second epoch
    torch.testing.assert_close(losses, whole, atol=1e-4, rtol=0)


def test_reveals_before_a_crash_count(tmp_path):
    agreed = mpc.Agreed(bytes(32), ("a", "b", "dealer"), (mpc.Allowed("loss", frozenset({0, 1}), 6),))

    def program(session, crash=None):
        x, _ = shared(session)
        model = session.share_module(nn.Linear(4, 1))
        session.reveal(x.sum(), name="loss")
        for step in session.steps(4, model, None):
            if crash == (session.rank, step):
                raise Crash
            session.reveal(x.sum(), name="loss")
        used = list(session.policy.used)
        session.reveal(x.sum(), name="loss")
        with pytest.raises(mpc.RevealRefused):
            session.reveal(x.sum(), name="loss")
        return used

    with pytest.raises(Crash):
        run(lambda session: program(session, (0, 3)), checkpoints=kept(tmp_path), agreed=agreed)
    assert run(program, checkpoints=kept(tmp_path, resume=True), agreed=agreed) == [[5]] * 3


def test_two_loops(tmp_path):
    def program(session, crash=None):
        x, y = shared(session)
        out = []
        for place in (0, 1):
            model = session.share_module(nn.Linear(4, 1, bias=False).requires_grad_())
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for step in session.steps(3, model, optimizer):
                if crash == (session.rank, place, step):
                    raise Crash
                optimizer.zero_grad()
                nn.functional.mse_loss(model(x), y).backward()
                optimizer.step()
            out.append(model)
        return [session.reveal(model.weight) for model in out]

    want = run(program)[0]
    with pytest.raises(Crash):
        run(lambda session: program(session, (0, 1, 2)), checkpoints=kept(tmp_path))
    assert [name[:23] for name in names(tmp_path)] == [
        f"loop-00{loop}-step-00000000{step}" for loop, step in [(1, 2), (1, 3), (2, 2)]
    ]
    lost = tmp_path.parent / "without the end of the first loop"
    shutil.copytree(tmp_path, lost)
    same(run(program, checkpoints=kept(tmp_path, resume=True))[0], want)
    for rank in "01":
        (lost / rank / names(lost, rank)[1]).unlink()
    with pytest.raises(ConfigurationError, match="of another run: it has previous"):
        run(program, checkpoints=kept(lost, resume=True))


# Crashes while saving ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "first"), [(0, 2), (1, 4)])
def test_a_crash_between_draft_and_name(tmp_path, monkeypatch, undisturbed, after, first):
    """Rank 1 dies before it renames its first, or second, draft; the others rename theirs."""
    replace, done = Path.replace, []

    def dying(path, target):
        if path.parent.name == "1":
            if len(done) == after:
                raise Crash
            done.append(path)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", dying)
    with pytest.raises(Crash):
        run(trainer(), checkpoints=kept(tmp_path))
    monkeypatch.undo()
    assert sum(name.endswith(".draft") for name in names(tmp_path, 1)) == 1
    assert steps_in(tmp_path)[-1] == first
    seen = []
    same(run(trainer(seen=seen), checkpoints=kept(tmp_path, resume=True))[0], undisturbed)
    assert seen[0] == first
    assert not any(name.endswith(".draft") for rank in (0, 1) for name in names(tmp_path, rank))


@pytest.mark.parametrize(("after", "first"), [(0, 0), (1, 2)])
def test_a_crash_while_a_draft_is_written(tmp_path, undisturbed, after, first):
    class Dying(Sealer):
        done = 0

        def seal(self, content, path):
            if self.purpose.endswith("1") and self.done == after:
                super().seal(content, path)
                path.write_bytes(path.read_bytes()[:-20])
                raise Crash
            self.done += 1
            super().seal(content, path)

    crashed(tmp_path, None, lambda crash: trainer(), sealer=Dying)
    seen = []
    same(run(trainer(seen=seen), checkpoints=kept(tmp_path, resume=True))[0], undisturbed)
    assert seen[0] == first
    assert steps_in(tmp_path, 1) == [4, 5]


def test_a_full_disk_ends_all_and_harms_nothing(tmp_path, undisturbed):
    class Full(Sealer):
        done = 0

        def seal(self, content, path):
            self.done += 1
            if self.purpose.endswith("1") and self.done == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().seal(content, path)

    def program(session):
        with pytest.raises(ConfigurationError, match="rank 1: cannot write a checkpoint: No space left on device"):
            trainer()(session)
        return True

    assert run(program, checkpoints=kept(tmp_path, sealer=Full)) == [True] * 3
    assert steps_in(tmp_path, 0) == steps_in(tmp_path, 1) == [2]
    same(run(trainer(), checkpoints=kept(tmp_path, resume=True))[0], undisturbed)


# What all have -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crashed_at_4(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crashed")
    crashed(folder, (1, 4))
    return folder


@pytest.fixture
def folder(crashed_at_4, tmp_path):
    shutil.copytree(crashed_at_4, tmp_path / "state")
    return tmp_path / "state"


def test_two_are_kept_and_only_their_owner_reads_them(folder):
    assert steps_in(folder, 0) == steps_in(folder, 1) == [2, 4]
    assert not (folder / "2").exists()
    for path in folder.glob("*/*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert b"SGD" not in path.read_bytes()


def damage(path):
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("how", [Path.unlink, damage])
def test_the_newest_common_one_is_taken(folder, undisturbed, how):
    how(folder / "1" / names(folder, 1)[1])
    seen = []
    same(run(trainer(seen=seen), checkpoints=kept(folder, resume=True))[0], undisturbed)
    assert seen == list(range(2, STEPS))


def refusal(folder, n=3, kind="sgd", total=STEPS, change=None, **options):
    """What every rank says when it is asked to resume."""
    choice = {key: options.pop(key) for key in ("job", "every") if key in options}

    def program(session):
        if change is not None:
            change(session)
        with pytest.raises(JointfitError) as caught:
            trainer(kind, total=total)(session)
        return str(caught.value)

    said = run(program, n, checkpoints=kept(folder, resume=True, **choice), **options)
    assert len(set(said)) == 1
    return said[0]


def test_no_common_one(folder):
    (folder / "1" / names(folder, 1)[1]).unlink()
    (folder / "0" / names(folder, 0)[0]).unlink()
    said = refusal(folder)
    assert "none that all ranks have: rank 0 has steps 4; rank 1 has steps 2" in said
    shutil.rmtree(folder / "1")
    assert "rank 0 has steps 4; rank 1 has none that it can use" in refusal(folder)


def test_files_of_others_are_refused_by_name(folder):
    assert "sealed for 'checkpoints/ab12/0'; want 'checkpoints/cd34/0'" in refusal(folder, job="cd34")
    for path in (folder / "1").iterdir():
        path.write_bytes((folder / "0" / path.name).read_bytes())
    assert "rank 1 has none that it can use" in (said := refusal(folder))
    assert "sealed for 'checkpoints/ab12/0'; want 'checkpoints/ab12/1'" in said


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"bits": 16}, "saved with bits 20; want 16"),
        ({"n": 4}, "saved with parties 2; want 3"),
        ({"kind": "adam"}, "the file holds the state of SGD; got a Adam"),
        ({"total": 1}, "is of step 4; the loop has 1"),
        ({"parameters": {"lr": 2}}, "saved with parameters {}; this session has {\"lr\": 2}"),
        ({"rounding": "chance"}, "saved with protocol"),
        ({"change": lambda session: session.facts.update(program="other.py 1234")}, "this session has other.py 1234"),
    ],
)
def test_checkpoints_of_another_run_are_refused(folder, options, text):
    assert text in refusal(folder, **options)


def test_a_fresh_start_does_not_overwrite(folder):
    def program(session):
        with pytest.raises(ConfigurationError, match="rank 0 has 2; rank 1 has 2, of an earlier run; resume"):
            trainer()(session)

    run(program, checkpoints=kept(folder))
    assert steps_in(folder) == [2, 4]


@pytest.mark.parametrize("other", [{"resume": False}, {"every": 3}, None])
def test_all_are_asked_alike(folder, other):
    def of(rank):
        if rank != 1:
            return kept(folder, resume=True)(rank)
        return None if other is None else kept(folder, **{"resume": True, **other})(rank)

    with pytest.raises(DisagreementError, match="no agreement on 'checkpoints'"):
        run(trainer(), checkpoints=of)


def test_settings_that_cannot_be():
    with pytest.raises(ConfigurationError, match="every 0 steps"):
        mpc.Checkpoints(None, 0, None)

    def program(session):
        with pytest.raises(ConfigurationError, match="rank 0: checkpoints without a folder or a key"):
            trainer()(session)

    run(program, checkpoints=lambda _: mpc.Checkpoints(None, 2, None))


class Odd:
    def __init__(self, state):
        self.state = state

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = state


def test_states_come_back_as_they_were(tmp_path):
    def program(session):
        model = session.share_module(nn.Linear(2, 1))
        secret = session.share(torch.tensor([1.5, -2.0]) if session.rank == 0 else None, owner=0)
        state = {"a": (1, 2.5, None), "b": {3: "x", (4, 5): [True]}, "c": torch.arange(3), "d": secret * 3}
        one = Odd(state if not session.checkpoints.resume else {})
        for _ in session.steps(1, model, None, one):
            pass
        return {**one.state, "d": session.reveal(one.state["d"])}

    for resume in (False, True):
        got = run(program, checkpoints=kept(tmp_path, resume))[1]
        assert (got["a"], got["b"]) == ((1, 2.5, None), {3: "x", (4, 5): [True]})
        assert torch.equal(got["c"], torch.arange(3))
        torch.testing.assert_close(got["d"], torch.tensor([4.5, -6.0]), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("odd", "text"), [(Odd({"a": object()}), "the state of a Odd"), (3, "a int; want")])
def test_states_that_cannot_be_kept(tmp_path, odd, text):
    def program(session):
        model = session.share_module(nn.Linear(2, 1))
        with pytest.raises(ConfigurationError, match=text):
            for _ in session.steps(1, model, None, odd):
                pass

    run(program, checkpoints=kept(tmp_path))


def test_a_peer_cannot_choose_the_name_of_a_file(tmp_path, monkeypatch):
    """Rank 0 sends an id that is a path, and a list of checkpoints that is none."""
    send = mpc.checkpoints.announce

    def announce(party, label, record):
        bad = {"id": "../../../../tmp/x"} if "after" in label else {"have": [[1, 2, 3]]}
        return send(party, label, record | {name: bad[name] for name in bad if party.rank == 0 and name in record})

    monkeypatch.setattr(mpc.checkpoints, "announce", announce)
    for resume, text in [(False, "rank 0 sent an id of 17 characters"), (True, "rank 0 sent a malformed list")]:

        def program(session, text=text):
            with pytest.raises(WireError, match=text):
                trainer()(session)

        run(program, checkpoints=kept(tmp_path, resume))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# Nothing twice -------------------------------------------------------------------------------------------------------


class Recorder:
    """Every stream of every rank: its key, and all that was drawn from it; and what was opened under masks."""

    def __init__(self, monkeypatch):
        self.keys, self.drawn, self.opened = [], [], []
        outer = self

        class Recorded(Generator):
            __slots__ = ("bytes",)

            def __init__(self, key):
                super().__init__(key)
                self.bytes = bytearray()
                outer.keys.append(bytes(key))
                outer.drawn.append(self.bytes)

            def fill(self, buffer):
                super().fill(buffer)
                self.bytes += memoryview(buffer).cast("B")

        monkeypatch.setattr(parties.seeds, "Generator", Recorded)

    def observe(self, value):
        self.opened.append(value.numpy().tobytes())

    def found(self):
        """Keys, and blocks of 16 bytes of the streams and of openings; what was found is forgotten."""
        keys, blocks, openings = set(self.keys), _blocks(self.drawn), _blocks(self.opened)
        for each in (self.keys, self.drawn, self.opened):
            each.clear()
        return keys, blocks, openings


def _blocks(found):
    return {bytes(data[k : k + 16]) for data in found for k in range(0, len(data) - 15, 16)}


def before_and_after(folder, recorder):
    def observed(crash):
        def program(session):
            session.protocol._observe = None if session.is_dealer else recorder.observe
            return trainer(crash=crash)(session)

        return program

    with pytest.raises(Crash):
        run(observed((1, 4)), checkpoints=kept(folder))
    before = recorder.found()
    run(observed(None), checkpoints=kept(folder, resume=True))
    return before, recorder.found()


def test_no_mask_is_used_twice_across_a_crash(tmp_path, monkeypatch):
    recorder = Recorder(monkeypatch)
    before, after = before_and_after(tmp_path, recorder)
    for one, other in zip(before, after, strict=True):
        assert not one & other
    assert min(len(before[0]), len(after[0])) >= 3  # inputs, and the dealer's with each party; each has two ends
    assert min(len(each) for each in (*before[1:], *after[1:])) > 50


def test_masks_used_twice_would_be_seen(tmp_path, monkeypatch):
    """With seeds and session ids that come again, as a restored generator's would, all three differ no more."""
    recorder = Recorder(monkeypatch)
    monkeypatch.setattr(parties.seeds, "new_seed", lambda: bytes(32))
    monkeypatch.setattr("parties.party.os.urandom", bytes)
    before, after = before_and_after(tmp_path, recorder)
    assert before[0] & after[0]
    assert before[1] & after[1]
    assert before[2] & after[2]


def test_keys_are_erased_at_the_end_and_on_abort(tmp_path, monkeypatch):
    alive = []

    class Watched(Generator):
        __slots__ = ("__weakref__",)

        def __init__(self, key):
            super().__init__(key)
            alive.append(weakref.ref(self))

    monkeypatch.setattr(parties.seeds, "Generator", Watched)
    sealers = []

    def of(rank, resume=False):
        settings = kept(tmp_path, resume)(rank)
        sealers.append(settings.sealer)
        return settings

    with pytest.raises(Crash) as caught:
        run(trainer(crash=(1, 4)), checkpoints=of)
    gc.collect()
    assert alive
    assert not any(each() for each in alive)  # though the frames of the program are alive
    assert caught.value.__traceback__ is not None
    run(trainer(), checkpoints=lambda rank: of(rank, resume=True))
    gc.collect()
    assert not any(each() for each in alive)
    for sealer in sealers:
        with pytest.raises(ConfigurationError, match="was erased"):
            sealer.seal(b"", tmp_path / "one")


def test_correlations_from_files_are_not_used_twice(tmp_path):
    """A crashed run has used its files; to resume takes a dealer, who then deals for what is left."""

    def program(session, crash=None):
        x = session.share(X if session.rank == 0 else None, owner=0, shape=(16, 4))
        with seeded(5):
            model = nn.Linear(4, 1)
        session.share_module(model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in session.steps(4, model, optimizer):
            if crash == (session.rank, step):
                raise Crash
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            optimizer.step()
        return session.reveal(model.weight)

    options = {"rounding": "faithful"}
    of = kept(tmp_path / "state")
    mpc.deal(program, tmp_path / "deal", checkpoints=mpc.Checkpoints(None, 2, None), **options)
    given = {"dealer": False, "correlations": tmp_path / "deal", **options}
    with pytest.raises(Crash):
        mpc.simulate(2, lambda session: program(session, (0, 3)), checkpoints=of, **given)
    with pytest.raises(ConfigurationError, match="used"):
        mpc.simulate(2, program, checkpoints=kept(tmp_path / "new"), **given)
    again = kept(tmp_path / "state", resume=True)
    with pytest.raises(ConfigurationError, match="a deal beforehand cannot know where"):
        mpc.simulate(2, program, checkpoints=again, **given)
    with pytest.raises(ConfigurationError, match="a deal beforehand cannot know where"):
        mpc.deal(program, tmp_path / "other", checkpoints=mpc.Checkpoints(None, 2, None, resume=True), **options)
    again = kept(tmp_path / "state", resume=True)
    resumed = mpc.simulate(3, program, checkpoints=again, **options)[0]
    same([resumed], [mpc.simulate(3, program, **options)[0]])


def test_costs(tmp_path):
    """What a checkpoint adds to a session: one round at the start, two to save; nothing online."""

    def program(session):
        trainer()(session)
        return session.counts.total("online").bytes_sent, session.counts.total("setup").rounds

    online, setup = run(program)[0]
    assert run(program, checkpoints=kept(tmp_path))[0] == (online, setup + 1 + 2 * 3)
