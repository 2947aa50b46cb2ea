import copy
import os
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parties.errors import ConfigurationError, JointfitError
from parties.prg import Generator, derive, new_seed
from parties.seeds import Seeds, exchange_seeds
from parties.threads import simulate

# NIST SP 800-38A, F.5.1 CTR-AES128.Encrypt
KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
COUNTER = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
STREAM = bytes.fromhex(
    "ec8cdf7398607cb0f2d21675ea9ea1e4362b7c3c6773516318a077d7fc5073ae"
    "6a2cc3787889374fbeb4c81b17ba6c44e89c399ff0f198c6d40a31db156cabfe"
)
PLAIN = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
CIPHER = bytes.fromhex(
    "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
    "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"
)


def test_nist_vector():
    assert bytes(Generator(KEY + COUNTER).take(64)) == STREAM
    assert bytes(a ^ b for a, b in zip(PLAIN, STREAM, strict=True)) == CIPHER


def test_rfc7693_keyed_blake2b():
    # the keyed hash below derive, against the vector of the reference implementation (key 00…3f, message 00)
    from hashlib import blake2b

    digest = blake2b(b"\0", key=bytes(range(64))).hexdigest()
    assert digest.startswith("961f6dd1e4dd30f63901690c512e78e4b45e4742ed197c3c5e45c549fd25f2e4")


@given(st.lists(st.integers(0, 70_000), max_size=8))
def test_pieces_make_the_same_stream(sizes):
    whole, parts = Generator(KEY), Generator(KEY)
    assert bytes(whole.take(sum(sizes))) == b"".join(bytes(parts.take(size)) for size in sizes)
    assert whole.position == parts.position == sum(sizes)


def test_large_fill_crosses_chunks():
    size = (3 << 20) + 5
    whole, parts = Generator(KEY), Generator(KEY)
    memory = bytearray(size)
    whole.fill(memory)
    assert memory == b"".join(bytes(parts.take(part)) for part in (1, (1 << 20) + 3, 1 << 20, (1 << 20) + 1))


def test_fill_refuses_what_it_cannot_write():
    with pytest.raises(ConfigurationError, match="read-only"):
        Generator(KEY).fill(b"1234")
    with pytest.raises(ConfigurationError, match="not contiguous"):
        Generator(KEY).fill(memoryview(bytearray(8))[::2])
    with pytest.raises(ConfigurationError, match="key of 5 bytes; want 16 or 32"):
        Generator(b"12345")


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy, pickle.dumps])
def test_no_copies(copier):
    with pytest.raises(TypeError, match="cannot be copied"):
        copier(Generator(KEY))


def test_repr_shows_no_key():
    assert repr(Generator(KEY)) == "Generator(position 0)"


def test_fork_is_refused():
    generator = Generator(new_seed())
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            generator.take(8)
            os.write(mouth, b"drew")
        except JointfitError as error:
            os.write(mouth, str(error).encode()[:200])
        os._exit(0)
    os.close(mouth)
    os.waitpid(child, 0)
    assert b"used in its fork" in os.read(ear, 300)
    os.close(ear)


labels = st.lists(st.one_of(st.text(max_size=5), st.integers(-5, 300), st.binary(max_size=5)), max_size=4)


@given(labels, labels)
def test_labels_are_unambiguous(one, other):
    def typed(these):
        return [(type(each), each) for each in these]

    assert (derive(bytes(32), *one) == derive(bytes(32), *other)) == (typed(one) == typed(other))


def test_derive_refuses():
    with pytest.raises(ConfigurationError, match="seed of 3 bytes; want 32"):
        derive(b"abc", "x")
    with pytest.raises(ConfigurationError, match="label of type float"):
        derive(bytes(32), 1.5)


def test_seeds_agree_in_pairs_and_differ_otherwise():
    def program(party):
        seeds = exchange_seeds(party)
        others = [rank for rank in range(party.size) if rank != party.rank]
        drawn = {}
        for peer in others:
            drawn[frozenset((party.rank, peer)), "zero", None] = bytes(seeds.stream(peer, "zero").take(16))
            for sender in (party.rank, peer):
                drawn[frozenset((party.rank, peer)), "input", sender] = bytes(
                    seeds.stream(peer, "input", sender).take(16)
                )
        drawn[party.rank, "own", None] = bytes(seeds.private("own").take(16))
        return drawn

    results = simulate(4, program)
    union = {}
    for drawn in results:
        for key, value in drawn.items():
            assert union.setdefault(key, value) == value
    assert len(union) == 6 * 3 + 4
    assert len(set(union.values())) == len(union)
    assert not set(union.values()) & {value for drawn in simulate(4, program) for value in drawn.values()}


def test_a_stream_is_live():
    seeds = Seeds(bytes(16), 0, {1: new_seed()})
    assert seeds.stream(1, "x").take(8) != seeds.stream(1, "x").take(8)
    assert seeds.stream(1, "x").position == 16
    with pytest.raises(ConfigurationError, match="no seed with rank 2"):
        seeds.stream(2, "x")
    with pytest.raises(ConfigurationError, match="sender 5"):
        seeds.stream(1, "x", 5)
    seeds.erase()
    with pytest.raises(ConfigurationError, match="no seed with rank 1"):
        seeds.stream(1, "x")
