"""Files of correlations: written whole or not at all, used once, and nothing but jointfit's errors from bad ones."""

import errno
import json
import os
import struct
import tempfile
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parties import ConfigurationError, DisagreementError, JointfitError
from protocols.correlations.source import CHECK
from protocols.correlations.store import Dealt, Writer, deal_file

FACTS = {"program": "test", "bits": 20}
MESSAGES = [b"a" * 40 + b"12345678", b"b" * 3 + b"87654321"]


def written(folder, parties=2, messages=MESSAGES):
    writer = Writer(folder, parties, FACTS)
    for message in messages:
        writer.put([memoryview(message[:5]), memoryview(message[5:])])
    writer.finish()
    writer.close()
    return [deal_file(folder, rank) for rank in range(parties)]


def test_what_was_put_is_taken_once(tmp_path):
    paths = written(tmp_path / "new", 3)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in paths)
    drawn = set()
    for rank, path in enumerate(paths):
        assert path.stat().st_mode & 0o777 == 0o600
        seed = path.read_bytes()[16:48]
        dealt = Dealt(path)
        assert dealt.facts | FACTS == dealt.facts
        assert (dealt.facts["rank"], dealt.facts["parties"]) == (rank, 3)
        assert dealt.dealt == 43
        assert dealt.streams == []
        assert seed in path.read_bytes()
        dealt.use()
        assert seed not in path.read_bytes()
        drawn.add(bytes(dealt.streams[0].take(32)))
        if rank == 2:
            assert [bytes(dealt.take()) for _ in MESSAGES] == MESSAGES
        with pytest.raises(DisagreementError, match="holds 43 bytes of corrections, and all are used up"):
            dealt.take()
        with pytest.raises(ConfigurationError, match="in use by another session"):
            Dealt(path)
        dealt.close()
        with pytest.raises(ConfigurationError, match="was used before"):
            Dealt(path)
    assert len(drawn) == 3


def test_dealer_and_parties_expand_the_same(tmp_path):
    writer = Writer(tmp_path, 2, FACTS)
    mine = [bytes(stream.take(100)) for stream in writer.streams]
    writer.finish()
    writer.close()
    for path, want in zip([deal_file(tmp_path, 0), deal_file(tmp_path, 1)], mine, strict=True):
        dealt = Dealt(path)
        dealt.use()
        assert bytes(dealt.streams[0].take(100)) == want
        dealt.close()


def test_a_file_is_marked_on_disk_before_its_masks_are_drawn(tmp_path, monkeypatch):
    path = written(tmp_path)[0]
    dealt = Dealt(path)
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append((dealt.streams, path.read_bytes()[8:80])))
    dealt.use()
    assert synced == [([], b"used\0\0\0\0" + bytes(64))]
    dealt.close()


@pytest.mark.parametrize("name", ["pwrite", "fsync"])
def test_a_disk_that_refuses_the_mark_gives_no_masks(tmp_path, monkeypatch, name):
    dealt = Dealt(written(tmp_path)[0])

    def full(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, name, full)
    with pytest.raises(ConfigurationError, match="could not be marked as used: Input/output error"):
        dealt.use()
    assert dealt.streams == []
    dealt.close()


def test_unfinished_files_vanish_and_complete_ones_stay(tmp_path):
    writer = Writer(tmp_path, 2, FACTS)
    writer.put([memoryview(MESSAGES[0])])
    (draft,) = tmp_path.iterdir()
    with pytest.raises(ConfigurationError, match=r"want (one|a file) that `jointfit deal` wrote"):
        Dealt(draft)
    writer.close()
    assert list(tmp_path.iterdir()) == []
    paths = written(tmp_path)
    before = [path.read_bytes() for path in paths]
    with pytest.raises(ConfigurationError, match="is there already"):
        Writer(tmp_path, 2, FACTS)
    assert [path.read_bytes() for path in paths] == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("size", [100, 1 << 20])
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, size):
    real = tempfile.NamedTemporaryFile

    def on_full_disk(**options):
        file = real(**options)
        number = os.open("/dev/full", os.O_WRONLY)
        os.dup2(number, file.fileno())
        os.close(number)
        return file

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", on_full_disk)
    writer = Writer(tmp_path, 2, FACTS)

    def write():
        writer.put([memoryview(bytes(size))])
        writer.finish()

    with pytest.raises(ConfigurationError, match="No space left on device"):
        write()
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_files_that_others_could_have_changed_or_read_are_refused(tmp_path):
    path = written(tmp_path)[0]
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="has mode 0640, so that others can read it; want 0600"):
        Dealt(path)
    path.chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to(path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, text in {
        "link": "symbolic link",
        "none": "is missing",
        ".": "is a folder",
        "pipe": "no ordinary",
    }.items():
        with pytest.raises(ConfigurationError, match=text):
            Dealt(tmp_path / name)
    Dealt(path).close()


def attempt(data):
    """Open and use up a file of these bytes; returns what was read. Only jointfit's errors may come out."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.touch(0o600)
        path.write_bytes(data)
        try:
            dealt = Dealt(path)
        except ConfigurationError:
            return None
        taken = []
        try:
            dealt.use()
            while True:
                taken.append(bytes(dealt.take()))
        except JointfitError:
            return taken
        finally:
            dealt.close()


@given(st.binary(max_size=400), st.booleans())
@settings(deadline=None)
def test_any_bytes(data, plausible):
    assert attempt((b"JFDEALT1unused\0\0" if plausible else b"") + data) is None


with tempfile.TemporaryDirectory() as made:
    WHOLE = written(made)[1].read_bytes()


def test_an_unchanged_file_is_taken():
    assert attempt(WHOLE) == MESSAGES


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_a_changed_byte_is_found(place, change):
    data = bytearray(WHOLE)
    data[place] ^= change
    assert attempt(bytes(data)) is None


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=20))
@settings(deadline=None)
def test_a_file_cut_short_or_too_long_is_found(length, more):
    assert attempt(WHOLE[:length]) is None
    assert attempt(WHOLE + more) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["deal", "rank", "x"]), inner),
    max_leaves=5,
)


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40), st.binary(max_size=80), st.data())
@settings(max_examples=200, deadline=None)
def test_a_malformed_file_with_a_right_digest(header, records, data):
    """What no writer writes, but the digest does not find."""
    sizes = struct.pack("!QQQ", len(header), len(records), data.draw(st.integers(0, 2**64 - 1)))
    seed = bytes(range(32))
    digest = blake2b(records + sizes + header + seed, digest_size=32, person=b"jointfit dealt").digest()
    taken = attempt(b"JFDEALT1" + b"unused\0\0" + seed + digest + sizes + header + records)
    assert taken is None or all(len(message) > CHECK for message in taken)


def test_sizes_that_lie_take_no_memory():
    """A header says 2^63 bytes; the error comes from the size of the file, before anything is read."""
    for sizes in [(1 << 63, 0), (0, 1 << 63), (2**64 - 1, 105)]:
        assert attempt(b"JFDEALT1" + b"unused\0\0" + bytes(64) + struct.pack("!QQQ", *sizes, 0) + b"x") is None
