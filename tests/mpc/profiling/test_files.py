"""JSON, several ranks' clocks, and Chrome traces."""

import itertools
import json
import re

import pytest

import mpc
from mpc.profiling import files
from mpc.profiling.clocks import messages
from parties import ConfigurationError
from tests.mpc.profiling.programs import sequential

TRACKS = {0: "modules", 1: "operations", 2: "rounds", 3: "waiting", 4: "sent", 5: "received"}


@pytest.fixture(scope="module")
def profile():
    with mpc.profile() as p:
        mpc.simulate(3, sequential)
    return p


def test_a_file_for_each_rank(profile, tmp_path):
    paths = [tmp_path / f"{rank}.json" for rank in profile.ranks]
    for rank, path in enumerate(paths):
        profile.save(path, rank)
    again = mpc.Profile.load(*paths)
    assert again.ranks == [0, 1, 2]
    for rank in again.ranks:
        assert again.rows(("module", "step"), rank) == profile.rows(("module", "step"), rank)
        assert again.total(rank) == profile.total(rank)
        assert again.timeline(rank) == profile.timeline(rank)
    assert mpc.Profile.load(paths[2]).ranks == [2]
    profile.save(tmp_path / "all.json")
    assert mpc.Profile.load(tmp_path / "all.json").table() == again.table()
    with pytest.raises(ConfigurationError, match=r"2\.json: rank 2 of a run that another file has already"):
        mpc.Profile.load(*paths, paths[2])


def test_files_hold_names_and_numbers_alone(profile, tmp_path):
    profile.save(tmp_path / "all.json")
    content = json.loads((tmp_path / "all.json").read_text())
    names = {name for one in content["accounts"] for place in one["places"] for name in place}
    steps = {step for one in content["accounts"] for _, step in one["wheres"]}
    assert all(re.fullmatch(r"[\w.() ]*", name) for name in names | steps)


def change(content, path, value):
    *way, last = path
    for part in way:
        content = content[part]
    content[last] = value


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (("jointfit_profile",), 2, "a profile of version '2'; want 1"),
        (("accounts", 0, "rank"), -1, "accounts.0.rank: Input should be greater than or equal to 0"),
        (("accounts", 1, "begin"), "soon", "accounts.1.begin: Input should be a valid number"),
        (("accounts", 0, "work", 0, 0), 10**6, "accounts.0: .*where number 1000000; want less than"),
        (("accounts", 0, "wheres", 1, 0), 999, "accounts.0: .*place number 999; want less than"),
        (("accounts", 0, "events", 3, 0), "secret", "accounts.0.events.3.0: Input should be 'operation'"),
        (("accounts", 0, "traffic", 0, 2), 10**30, "accounts.0.traffic.0.2: Input should be less than"),
        (("accounts", 0, "begin"), 1e300, "accounts.0.begin: Input should be less than"),
        (("accounts", 0, "more"), 1, "accounts.0.more: Extra inputs are not permitted"),
    ],
)
def test_wrong_files_are_refused_by_field(profile, tmp_path, path, value, text):
    profile.save(tmp_path / "p.json")
    content = json.loads((tmp_path / "p.json").read_text())
    change(content, path, value)
    (tmp_path / "p.json").write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match=text):
        mpc.Profile.load(tmp_path / "p.json")


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"{", "no profile"), (b"[1]", "no profile"), (b"\xff", "no UTF-8"), (b"[" * 10**5, "no profile")],
)
def test_what_is_no_profile(tmp_path, data, text):
    (tmp_path / "p.json").write_bytes(data)
    with pytest.raises(ConfigurationError, match=text):
        mpc.Profile.load(tmp_path / "p.json")
    with pytest.raises(ConfigurationError, match="cannot read"):
        mpc.Profile.load(tmp_path / "none.json")
    with pytest.raises(ConfigurationError, match="got no file"):
        mpc.Profile.load()


def test_names_of_strangers_do_not_move_the_cursor(profile, tmp_path):
    account = profile.accounts(0)[0]
    places = [(part, f"{module}\x1b[2J\n", op) for part, module, op in account.places]
    files.write(tmp_path / "p.json", [account.model_copy(update={"places": places})])
    assert all(line.isprintable() for line in mpc.Profile.load(tmp_path / "p.json").table().split("\n"))


def test_clocks_of_several_machines(profile, tmp_path):
    """Accounts of threads have one clock; moved apart, the messages tell by how much, but for the latency."""
    offsets, moved = [0.0, 1234.5, -77.25], []
    for rank, offset in enumerate(offsets):
        (account,) = profile.accounts(rank)
        events = [(kind, a + offset, b + offset, *rest) for kind, a, b, *rest in account.events]
        times = {"begin": account.begin + offset, "end": account.end + offset, "events": events, "clock": str(rank)}
        moved.append(account.model_copy(update=times))
        files.write(tmp_path / f"{rank}.json", moved[-1:])
    found = delays(profile)
    differ = {(a, b): (found[a, b] - found[b, a]) / 2 for a, b in found}  # what the latencies of a pair differ by
    two = mpc.Profile.load(tmp_path / "0.json", tmp_path / "1.json")
    assert two.accounts(0) == moved[:1]
    assert two.accounts(1)[0].begin - profile.accounts(1)[0].begin == pytest.approx(-differ[0, 1], abs=1e-9)
    three = mpc.Profile.load(*(tmp_path / f"{rank}.json" for rank in range(3)))
    for rank in range(3):
        wrong = three.accounts(rank)[0].begin - profile.accounts(rank)[0].begin
        assert abs(wrong) <= 2 * max(map(abs, differ.values())) + 1e-9  # two steps at most
    assert three.timeline(1)[5].begin == pytest.approx(profile.timeline(1)[5].begin)


def delays(profile):
    """The least seconds of a message's way, of each pair."""
    found = {}
    for source, to, begin, end in messages([profile.accounts(rank)[0] for rank in range(3)]):
        found[source, to] = min(end - begin, found.get((source, to), float("inf")))
    return found


def check_trace(content):
    """What Perfetto's importer of Chrome's JSON asks for, and that nothing lies outside of its slice."""
    assert set(content) == {"traceEvents", "displayTimeUnit"}
    slices, flows = {}, {"s": {}, "f": {}}
    for one in content["traceEvents"]:
        assert isinstance(one["pid"], int)
        if one["ph"] == "M":
            assert one["name"] in {"process_name", "thread_name", "thread_sort_index"}
            if one["name"] == "thread_name":
                assert one["args"]["name"] == TRACKS[one["tid"]]
            continue
        assert one["ts"] >= 0
        assert one["tid"] in TRACKS
        if one["ph"] == "X":
            assert one["dur"] >= 0
            assert one["name"]
            slices.setdefault((one["pid"], one["tid"]), []).append((one["ts"], one["ts"] + one["dur"], one))
        else:
            assert one["id"] not in flows[one["ph"]]
            assert (one["ph"] == "f") == (one.get("bp") == "e")
            flows[one["ph"]][one["id"]] = one
    assert flows["s"].keys() == flows["f"].keys()
    for number, start in flows["s"].items():
        end = flows["f"][number]
        assert start["ts"] <= end["ts"]
        assert start["pid"] != end["pid"]
        for side, track in ((start, 4), (end, 5)):
            assert side["tid"] == track
            assert any(a <= side["ts"] <= b for a, b, _ in slices[side["pid"], track])
    for lines in slices.values():
        lines.sort(key=lambda line: line[:2])
        assert all(after[0] >= before[1] - 1e-3 for before, after in itertools.pairwise(lines))
    return slices, flows["s"]


def test_a_trace_of_all_ranks(profile, tmp_path):
    profile.write_trace(tmp_path / "trace.json")
    slices, flows = check_trace(json.loads((tmp_path / "trace.json").read_text()))
    sent = [line for (_, track), lines in slices.items() if track == 4 for *_, line in lines]
    received = [line for (_, track), lines in slices.items() if track == 5 for *_, line in lines]
    assert len(flows) == len(received) > 0  # all that came is there from its sending on
    assert len(sent) >= len(received)
    dealt = [line for line in sent if line["pid"] == 2 and line["args"]["step"] not in {"", "share"}]
    assert any(line["name"] == "to 1" for line in dealt)  # corrections of the dealer
    for rank in range(2):
        total = profile.total(rank)
        during = [line for *_, line in slices[rank, 2]]
        assert sum(line["args"]["sent"] for line in during) <= total.sent
        assert {line["name"] for *_, line in slices[rank, 1]} >= {"aten.addmm", "aten.relu"}
        assert "forward 0" in {line["name"] for *_, line in slices[rank, 0]}
    alone = tmp_path / "alone.json"
    profile.save(tmp_path / "0.json", 0)
    mpc.Profile.load(tmp_path / "0.json").write_trace(alone)
    slices, flows = check_trace(json.loads(alone.read_text()))
    assert not flows  # nobody received, as far as is known


def test_the_timeline(profile):
    moments = profile.timeline(1)
    (account,) = profile.accounts(1)
    assert moments == sorted(moments)
    assert all(0 <= one.begin <= one.end <= account.end - account.begin + 1e-6 for one in moments)
    rounds = [one for one in moments if one.kind == "round"]
    inside = sum(row.rounds for row in profile.rows(("part",), 1) if row.key == ("setup",))
    assert len(rounds) == profile.total(1).rounds - inside  # those before the session was open have no times
    assert sum(one.end - one.begin for one in moments if one.kind == "wait") == pytest.approx(
        profile.total(1).waiting, rel=1e-6
    )


def test_tables(profile):
    text = profile.table(by=("module", "op", "step"), sort="rounds", limit=3, width=100)
    lines = text.splitlines()
    assert lines[0] == "rank 0 of 3, computing"
    assert lines[2].split()[:4] == ["Module", "Op", "Step", "Sent"]
    rows = profile.rows(("module", "op", "step"))
    most = sorted(rows, key=lambda row: -row.rounds)[:3]
    assert [line.split()[-6 - 3] for line in lines[4:7]] == [str(row.rounds) for row in most]
    assert f"({len(rows) - 3} more)" in lines[7]
    assert lines[9].startswith("total")
    wide, narrow = (profile.table(by=("module", "op", "step"), limit=None, width=width) for width in (300, 20))
    assert "aten.threshold_backward" in wide
    assert "…ld_backward" in narrow
    assert len(narrow.splitlines()[1]) < len(wide.splitlines()[1])
    assert profile.table(limit=None).count("\n") == len(profile.rows(("module", "part"))) + 10
    html = profile._repr_html_()
    assert html.count("<tr>") == len(profile.rows(("module", "part"))) + 2
    assert "no session" in mpc.Profile()._repr_html_()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda p: p.rows(("modul",)), "rows by 'modul'; want one of module, part, op, step, phase"),
        (lambda p: p.rows(part="foreward"), "rows of part 'foreward'; want one of setup"),
        (lambda p: p.table(sort="size"), "sorted by 'size'; want one of sent"),
        (lambda p: p.total(7), "profile of rank 7; want one of 0, 1, 2"),
        (lambda _: mpc.Profile().total(), "want one of none: no session was open"),
    ],
)
def test_wrong_questions(profile, call, text):
    with pytest.raises(ConfigurationError, match=text):
        call(profile)
