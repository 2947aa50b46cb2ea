"""Each party's append-only log of reveals."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
import torch

import mpc
import parties
from mpc.journal import Journal, verify_log
from parties import LogError, PeerFailed
from parties.needs import NEEDS

DIGEST = hashlib.sha256(b"job").digest()
NAMES = ("anna", "bert", "dealer")
LIST = (mpc.Allowed("mean", frozenset({0, 1}), times=3), mpc.Allowed("model", frozenset({0})))
X = torch.full((4, 2), 123.625)


def agreed(folder, party):
    return mpc.Agreed(DIGEST, NAMES, LIST, log=folder / f"{NAMES[party.rank]}.jsonl")


def simulated(folder, program, protocol="additive"):
    """Run with a log for each rank."""

    def run(party):
        with mpc.session(protocol, party=party, agreed=agreed(folder, party)) as session:
            return program(session)

    return parties.simulate(3, run, dealer=NEEDS[protocol].dealer)


def lines(folder, name):
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def reveals(session):
    x = session.share(X if session.rank == 0 else None, owner=0)
    session.reveal(x.mean(0), to=[0, 1], name="mean")
    session.reveal(torch.ones(2), to=1, name="mean")
    session.reveal_module(session.share_module(torch.nn.Linear(2, 1), owner=0), to=0)
    with pytest.raises(mpc.RevealRefused):
        session.reveal(x, to=[0, 1], name="rows")
    return session.party.session.hex(), session.summary()


def test_what_stands_in_it(tmp_path, protocol):
    results = simulated(tmp_path, reveals, protocol)
    deals = NEEDS[protocol].dealer
    for rank, name in enumerate(NAMES):
        found = lines(tmp_path, name)
        what = [(line["event"], line["name"], line["shape"], line["to"], line["step"]) for line in found]
        mean = ("mean", [2], ["anna", "bert"], 2)
        assert [each for each in what if each[0] != "done"] == [
            ("intent", *mean),
            ("intent", "mean", [2], ["bert"], 3),
            ("intent", "model", [3], ["anna"], 5),
            ("refused", "rows", [4, 2], ["anna", "bert"], 6),
        ]
        assert [each[1:] for each in what if each[0] == "done"] == (
            [] if name == "dealer" and deals else [each[1:] for each in what if each[0] == "intent"]
        )
        assert {line["job"] for line in found} == {DIGEST.hex()}
        assert {line["session"] for line in found} == {results[0][0]}
        assert all(line["time"].endswith("+00:00") for line in found)
        assert verify_log(tmp_path / f"{name}.jsonl") == len(found)
        assert found[-1]["hash"] in results[rank][1]
        assert (tmp_path / f"{name}.jsonl").stat().st_mode & 0o777 == 0o600
        assert "123.625" not in (tmp_path / f"{name}.jsonl").read_text()
    anna, bert = ([line["transcript"] for line in lines(tmp_path, name)] for name in NAMES[:2])
    assert anna == bert
    assert len({anna[0], anna[4]}) == 2
    third = [line["transcript"] for line in lines(tmp_path, "dealer")]
    assert set(third) == {None} if deals else third == anna


def test_runs_append_to_one_file(tmp_path):
    first, second = (simulated(tmp_path, reveals)[0][0] for _ in range(2))
    found = lines(tmp_path, "anna")
    assert [line["session"] for line in found] == [first] * 7 + [second] * 7
    assert verify_log(tmp_path / "anna.jsonl") == 14


def test_the_intent_is_on_the_disk_before_this_rank_says_yes(tmp_path, monkeypatch, protocol):
    """Of the opening, and of what ranks tell each other before it: digests, or the check of MACs."""
    synced, seen = [], []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_size))

    def program(session):
        send = session.party.channel.send
        path = session.agreed.log

        def sending(to, header, payload):
            text = bytes(header[48:80])
            if begun and text.startswith((b"reveal", b"check")):
                last = json.loads(path.read_text().splitlines()[-1])
                seen.append((last["event"], last["name"], path.stat().st_size in synced))
            send(to, header, payload)

        session.party.channel.send = sending
        mean = session.share(X if session.rank == 0 else None, owner=0).mean(0)
        session.settle([mean])
        begun.append(session.rank)
        session.reveal(mean, to=1, name="mean")

    begun = []
    simulated(tmp_path, program, protocol)
    # to each other: both compare, one opens; all three compare, one opens; both check in three rounds, twice; all three
    # compare, draw weights, fold twice, each with three messages and a coin, tell the result, and two open
    sent = {"additive": 3, "replicated": 7, "authenticated": 12, "verified": 6 + 6 + 2 * (3 + 6) + 6 + 2}[protocol]
    assert seen == [("intent", "mean", True)] * sent


SPOILT = {
    "changed": (lambda rows: [rows[0], rows[1].replace('"anna"', '"carl"'), *rows[2:]], 2),
    "removed": (lambda rows: [rows[0], *rows[2:]], 2),
    "first removed": (lambda rows: rows[1:], 1),
    "order": (lambda rows: [rows[0], rows[2], rows[1], *rows[3:]], 2),
    "twice": (lambda rows: [rows[0], rows[0], *rows[1:]], 2),
    "last changed": (lambda rows: [*rows[:-1], rows[-1].replace("rows", "mean")], 7),
    "spaces": (lambda rows: [rows[0].replace(",", ", "), *rows[1:]], 1),
    "no JSON": (lambda rows: [*rows, "x\n"], 8),
    "a list": (lambda rows: [*rows, "[]\n"], 8),
    "nested": (lambda rows: [*rows, "[" * 60_000 + "\n"], 8),
    "cut short": (lambda rows: [*rows[:-1], rows[-1][:-9]], 7),
    "a long line": (lambda rows: [*rows, "x" * 200_000], 8),
}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    simulated(folder, reveals)
    return (folder / "bert.jsonl").read_text()


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_log_is_noticed(how, log, tmp_path):
    spoil, line = SPOILT[how]
    path = tmp_path / "bert.jsonl"
    path.write_text("".join(spoil(log.splitlines(keepends=True))))
    with pytest.raises(LogError, match=f"bert.jsonl, line {line}:"):
        verify_log(path)


def test_a_spoilt_log_is_refused_at_the_start(log, tmp_path):
    path = tmp_path / "bert.jsonl"
    path.write_text(log.replace('"anna"', '"carl"'))
    path.chmod(0o600)
    seen = {}

    def program(party):
        try:
            with mpc.session(party=party, agreed=agreed(tmp_path, party)):
                seen[party.rank] = None
        except BaseException as error:
            seen[party.rank] = error
            raise

    with pytest.raises(LogError, match="line 1: damaged or changed"):
        parties.simulate(3, program)
    assert [type(seen[rank]) for rank in range(3)] == [PeerFailed, LogError, PeerFailed]
    assert "rank 1 failed with LogError: log of reveals bert.jsonl, line 1" in str(seen[0])
    assert path.read_text() == log.replace('"anna"', '"carl"')


def link(path):
    path.with_name("elsewhere").touch(0o600)
    path.symlink_to(path.with_name("elsewhere"))


def open_to_others(path):
    path.touch()
    path.chmod(0o622)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (link, "symbolic link"),
        (open_to_others, "written by others"),
        (lambda path: path.mkdir(), "Is a directory"),
        (os.mkfifo, "no ordinary file"),
        (lambda path: (path.parent.rmdir(), path.parent.touch()), "File exists"),
    ],
)
def test_what_is_no_log(make, text, tmp_path):
    path = tmp_path / "folder" / "log"
    path.parent.mkdir()
    make(path)
    with pytest.raises(LogError, match=text):
        Journal(path, mpc.Agreed(DIGEST, NAMES, ()), bytes(16))


def test_one_session_at_a_time(tmp_path):
    bare = mpc.Agreed(DIGEST, NAMES, ())
    one = Journal(tmp_path / "log", bare, bytes(16))
    with pytest.raises(LogError, match="in use by another session"):
        Journal(tmp_path / "log", bare, bytes(16))
    one.close()
    Journal(tmp_path / "log", bare, bytes(16)).close()


FULL = """
import resource, sys, warnings
from pathlib import Path
from tests.mpc.test_journal import *
folder = Path(sys.argv[1])
received = []

def program(session):
    x = session.share(X if session.rank == 0 else None, owner=0)
    mean = session.reveal(x.mean(0), name="mean")
    received.extend([] if session.is_dealer else [mean])

size = (folder / "bert.jsonl").stat().st_size + 100  # a part of a line fits
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    simulated(folder, program)
except LogError as error:
    print(f"{error}; {received}")
"""


def test_a_full_disk_of_one_party_ends_all_before_the_opening(log, tmp_path, forked):
    (tmp_path / "bert.jsonl").write_text(log)
    (tmp_path / "bert.jsonl").chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout == "log of reveals bert.jsonl cannot be written: the disk is full; []\n"
    assert (tmp_path / "bert.jsonl").read_text() == log
    assert [line["event"] for line in lines(tmp_path, "anna")] in ([], ["intent"])
