"""Sealed files: a fixed vector, all sizes, and every kind of damage told by name."""

import errno
import os
import stat
import struct

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from parties.errors import ConfigurationError, IdentityError
from parties.identity import make_identity
from parties.sealing import CHUNK, Sealer

KEY = bytes(range(32))
PURPOSE = "checkpoints/ab12/1"


def sealer(key=KEY, purpose=PURPOSE, chunk=100):
    return Sealer(key, purpose, chunk=chunk)


def sealed(folder, content, **options):
    path = folder / "one.sealed"
    path.unlink(missing_ok=True)
    sealer(**options).seal(content, path)
    return path


def refused(path, data, text, **options):
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match=text):
        sealer(**options).open(path)


def test_a_fixed_vector(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "urandom", lambda size: bytes(range(100, 100 + size)))
    path = sealed(tmp_path, b"shares of rank 1", chunk=10)
    assert path.read_bytes().hex() == VECTOR
    assert sealer().open(path) == b"shares of rank 1"


def test_the_vector_by_other_means():
    """HMAC written out, as RFC 5869 has it, and AES-GCM put together from its counter mode."""
    import hashlib
    import hmac

    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    data = bytes.fromhex(VECTOR)
    pseudorandom = hmac.digest(data[8:24], KEY, hashlib.sha256)
    made, block = b"", b""
    for counter in (1, 2):
        block = hmac.digest(
            pseudorandom, block + b"jointfit seal 1\0" + PURPOSE.encode() + bytes([counter]), hashlib.sha256
        )
        made += block
    assert data[24:40] == made[32:48]
    header = 46 + len(PURPOSE)
    for index, (start, size) in enumerate([(header, 10), (header + 26, 6)]):
        nonce = made[48:55] + struct.pack("!I", index) + bytes([index == 1])
        counter = Cipher(algorithms.AES256(made[:32]), modes.CTR(nonce + struct.pack("!I", 2)))
        assert counter.decryptor().update(data[start : start + size]) == b"shares of rank 1"[10 * index :][:10]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 70), st.integers(1, 30))
def test_all_sizes(tmp_path_factory, size, chunk):
    content = os.urandom(size)
    path = sealed(tmp_path_factory.mktemp("sizes"), content, chunk=chunk)
    assert sealer().open(path) == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size == 46 + len(PURPOSE) + size + 16 * max(1, -(-size // chunk))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_changed_bit_is_always_noticed(tmp_path_factory, data):
    path = sealed(tmp_path_factory.mktemp("bits"), b"x" * 250)
    changed = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    refused(path, changed, "one.sealed")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_refused(tmp_path_factory, data, magic):
    path = tmp_path_factory.mktemp("any") / "one.sealed"
    refused(path, b"jfseal\0\1" + data if magic else data, "one.sealed")


def test_each_damage_has_its_name(tmp_path):
    path = sealed(tmp_path, bytes(range(250)))
    good = path.read_bytes()
    header = 46 + len(PURPOSE)
    first, second, third = good[header : header + 116], good[header + 116 : header + 232], good[header + 232 :]
    top = good[:header]
    assert sealer().open(path) == bytes(range(250))
    refused(path, top + first + second, "cut off after its chunk 1")
    refused(path, top + first, "cut off after its chunk 0")
    refused(path, top, "cut off in its chunk 0")
    refused(path, good[:-1], "cut off in its chunk 2")
    refused(path, good[:20], "no sealed file")
    refused(path, b"", "no sealed file")
    refused(path, top + second + first + third, "changed or cut off in its chunk 0")
    refused(path, top + first + third, "changed or cut off in its chunk 1")
    refused(path, good + b"x", "chunk 2")
    exact = sealed(tmp_path, bytes(200)).read_bytes()
    refused(path, exact + b"more", "lengthened after chunk 1")
    other = sealed(tmp_path, bytes(range(250))).read_bytes()
    refused(path, top + first + other[header + 116 :], "changed or cut off in its chunk 1")
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"cannot read one.sealed: No such file"):
        sealer().open(path)


def test_other_keys_and_purposes(tmp_path):
    path = sealed(tmp_path, b"secret")
    good = path.read_bytes()
    refused(path, good, "another key than this party's", key=bytes(32))
    refused(path, good, "sealed for 'checkpoints/ab12/1'; want 'checkpoints/ab12/2'", purpose="checkpoints/ab12/2")
    forged = good.replace(PURPOSE.encode(), b"checkpoints/ab12/2")
    refused(path, forged, "another key", purpose="checkpoints/ab12/2")
    refused(path, good[:40] + struct.pack("!I", CHUNK + 1) + good[44:], "damaged header")
    refused(path, good[:40] + struct.pack("!I", 50) + good[44:], "changed or cut off in its chunk 0")


def test_no_salt_comes_twice(tmp_path):
    files = {sealed(tmp_path, b"same").read_bytes() for _ in range(20)}
    assert len({data[8:24] for data in files}) == 20
    assert len({data[46 + len(PURPOSE) :] for data in files}) == 20


def test_memory_for_large_files(tmp_path):
    import tracemalloc

    content = bytes(40 << 20)
    one = Sealer(KEY, PURPOSE, chunk=1 << 20)
    tracemalloc.start()
    one.seal(content, tmp_path / "large")
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.reset_peak()
    assert one.open(tmp_path / "large") == content
    assert tracemalloc.get_traced_memory()[1] < 44 << 20
    tracemalloc.stop()


def test_erased_keys_work_no_more(tmp_path):
    one = sealer()
    one.seal(b"x", tmp_path / "a")
    one.erase()
    with pytest.raises(ConfigurationError, match="was erased"):
        one.seal(b"x", tmp_path / "b")
    with pytest.raises(ConfigurationError, match="was erased"):
        one.open(tmp_path / "a")
    assert not (tmp_path / "b").exists()
    assert KEY.hex() not in repr(one)


def test_a_full_disk_leaves_no_file(tmp_path, monkeypatch):
    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        sealer().seal(b"x", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "a").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        sealer().seal(b"x", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"precious"


def test_keys_from_files(tmp_path):
    plain = make_identity("plain", tmp_path)
    locked = make_identity("locked", tmp_path, b"open sesame")
    Sealer.from_file(plain.key, PURPOSE).seal(b"content", tmp_path / "a")
    Sealer.from_file(locked.key, PURPOSE, b"open sesame").seal(b"content", tmp_path / "b")
    assert Sealer.from_file(plain.key, PURPOSE).open(tmp_path / "a") == b"content"
    assert Sealer.from_file(locked.key, PURPOSE, b"open sesame").open(tmp_path / "b") == b"content"
    with pytest.raises(ConfigurationError, match="another key"):
        Sealer.from_file(plain.key, PURPOSE).open(tmp_path / "b")
    with pytest.raises(IdentityError, match="the passphrase is wrong"):
        Sealer.from_file(locked.key, PURPOSE, b"wrong")


def test_the_key_is_the_scalar(tmp_path):
    key = ec.derive_private_key(int.from_bytes(KEY, "big"), ec.SECP256R1())
    how = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "a.key").write_bytes(key.private_bytes(*how))
    (tmp_path / "a.key").chmod(0o600)
    assert Sealer.from_file(tmp_path / "a.key", PURPOSE).open(sealed(tmp_path, b"content")) == b"content"


def test_a_random_key_opens_its_own_files_only(tmp_path):
    one = Sealer(os.urandom(32), PURPOSE)
    one.seal(b"x", tmp_path / "a")
    assert one.open(tmp_path / "a") == b"x"
    with pytest.raises(ConfigurationError, match="another key"):
        Sealer(os.urandom(32), PURPOSE).open(tmp_path / "a")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"key": b"short"}, "key of 5 bytes"),
        ({"purpose": ""}, "purpose of 0 bytes"),
        ({"purpose": "x" * 1025}, "purpose of 1025 bytes"),
        ({"chunk": 0}, "chunks of 0 bytes"),
    ],
)
def test_bad_arguments(options, text):
    with pytest.raises(ConfigurationError, match=text):
        sealer(**options)


VECTOR = (
    "6a667365616c00016465666768696a6b6c6d6e6f70717273df415772d55336a7558bbb2fa5e73bc20000000a001263686563"
    "6b706f696e74732f616231322f31692f457108b502281ab6c09621fe3a722825c46b411f2cf4574c7bfe40e37779d1ccfaac"
    "360cdb904aaea37fbfdfa311"
)
