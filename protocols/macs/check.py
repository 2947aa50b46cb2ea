"""The check of everything that was opened: MACs in one batch, and that all parties heard the same.

Three rounds, before anything is revealed. The parties send each other a digest of what they opened, and open their
seeds, committed to beforehand. The seeds' sum expands to random coefficients: each party adds up what its MACs are off
by, sum of coefficient * (MAC part - key part * opened value), commits to the result, and opens it. The results of all
add up to zero if nothing was changed. A change of an opened word passes with probability at most 2^-34
(SPDZ2k: 2^(-40 + log2 41)), of an opened bit with 2^-40.

Sources: Cramer, Damgård, Escudero, Scholl, Xing 2018, procedure BatchCheck with all bits of the words opened; for bits
GHASH (McGrew, Viega 2004) under a random key, of the 40 planes of the tags one after the other. It is linear, and other
planes give another hash but for 2^-60 of the keys, so that whoever changed bits e has to know the hash of e * delta.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import cast

import torch
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from torch import Tensor

from parties import DryParty, Generator, Party, Role, SoloParty
from parties.prg import SEED_SIZE
from protocols.macs import wide
from protocols.macs.keys import Key
from protocols.macs.linear import TAG, Bits, Words
from protocols.macs.opening import EXTRA, Checked
from protocols.ring import as_bytes

DIGEST = 32
HASH = 16
"""Bytes of GHASH."""

RESULT = wide.SIZE + HASH
"""Bytes of one party's result."""

BLOCK = 1 << 16
"""Words whose products with coefficients of 20 bits, 46 bits each, are summed at once."""

PIECE = 20

LIMIT = 1 << 27
"""Bytes of MACs that wait for a check before one is made, though nothing is revealed."""


def commitment(party: Party, rank: int, what: bytes, label: bytes) -> bytes:
    """Commit to bytes that end in 32 random ones: BLAKE2b, bound to the session and the rank."""
    return blake2b(what, digest_size=DIGEST, key=party.session + rank.to_bytes(4, "big"), person=label).digest()


@dataclass
class Waiting:
    """What was opened and not checked yet: MACs and values of words, by the bytes opened; tags of bits."""

    words: dict[int, list[tuple[Tensor, Tensor]]] = field(default_factory=dict)
    tags: list[Tensor] = field(default_factory=list)
    size: int = 0

    def add(self, opening: Checked, key: Key) -> None:
        """Take note of an opening."""
        if opening.sender is not None:
            return
        full = cast(Tensor, opening.full)
        if opening.width is None:
            tag = cast(Bits, opening.part).tag
            off = tag ^ (key.spread(full) & full)
            self.tags.append(off.reshape(TAG, -1))
            self.size += off.numel()
        else:
            mac = cast(Words, opening.part).mac
            pair = (mac.reshape(wide.COUNT, -1), full.reshape(wide.COUNT, -1))
            self.words.setdefault(opening.width + EXTRA, []).append(pair)
            self.size += 2 * wide.COUNT * 8 * full[0].numel()


class Checker:
    """Makes checks for one rank. ``label`` says what for; all ranks that compute call it at once."""

    def __init__(self, party: Party, key: Key) -> None:
        self._party = party
        self._key = key
        self._waiting = Waiting()
        self._seed = b""
        self._promised: dict[int, bytes] = {}
        self._alone = isinstance(party, SoloParty)  # what peers say is made up
        self.pending = 0

    @property
    def active(self) -> bool:
        """Whether this rank has anything to check."""
        return self._party.role is Role.COMPUTING and not isinstance(self._party, DryParty)

    def begin(self) -> None:
        """Commit to the seed of the first check. Cost: one round in phase "setup", 32 bytes a peer."""
        if self.active:
            peers = self._party.peers
            message = dict.fromkeys(peers, self._promise())
            heard = self._party.exchange(message, dict.fromkeys(peers, DIGEST), "check: promise", phase="setup")
            self._promised = {rank: bytes(heard[rank]) for rank in peers}

    def _promise(self) -> bytes:
        self._seed = os.urandom(2 * SEED_SIZE)
        return commitment(self._party, self._party.rank, self._seed, b"seed")

    def opened(self, openings: Sequence[Checked]) -> None:
        """Take note of what was opened; counts on every rank alike."""
        for opening in openings:
            if opening.sender is None:
                self.pending += opening.bytes * (TAG if opening.width is None else 5)
            if self.active:
                self._waiting.add(opening, self._key)

    def check(self, digest: bytes, context: str) -> str | None:
        """Check all that was opened since the last check. Returns what is wrong, or None.

        ``context`` says what for: the parties compare it before they do anything else.

        Cost: three rounds, 96, 32 and 93 bytes a peer.
        """
        self.pending = 0
        party = self._party
        sizes = (DIGEST + 2 * SEED_SIZE, DIGEST, RESULT + SEED_SIZE + DIGEST)
        labels = ("check: seeds", "check: commit", "check: results")
        if isinstance(party, DryParty) or not self.active:
            if isinstance(party, DryParty) and party.role is not Role.DEALER:
                computing = range(party.computing)
                for size, label in zip(sizes, labels, strict=True):
                    party.round({r: {to: size for to in computing if to != r} for r in computing}, label)
            return None
        heard = self._tell(digest + self._seed, sizes[0], labels[0], context)
        odd = [r for r, theirs in heard.items() if not hmac.compare_digest(theirs[:DIGEST], digest)]
        if odd and not self._alone:
            return f"what {_ranks(odd)} opened differs from what rank {party.rank} opened"
        seeds = {rank: theirs[DIGEST:] for rank, theirs in heard.items()}
        odd = [r for r, seed in seeds.items() if commitment(party, r, seed, b"seed") != self._promised[r]]
        if odd and not self._alone:
            return f"{_ranks(odd)} opened another seed than was committed to"
        joint = blake2b(digest, digest_size=SEED_SIZE, person=b"joint seed")
        for rank in range(party.computing):
            joint.update(seeds.get(rank, self._seed))
        mine = self._result(joint.digest())
        known = mine + os.urandom(SEED_SIZE)
        promised = self._tell(commitment(party, party.rank, known, b"result"), sizes[1], labels[1])
        heard = self._tell(known + self._promise(), sizes[2], labels[2])
        end = RESULT + SEED_SIZE
        odd = [r for r, theirs in heard.items() if commitment(party, r, theirs[:end], b"result") != promised[r]]
        if odd and not self._alone:
            return f"{_ranks(odd)} opened another result than was committed to"
        self._promised = {rank: theirs[end:] for rank, theirs in heard.items()}
        if not self._alone and not _zero([mine, *(theirs[:RESULT] for theirs in heard.values())]):
            who = "by which party is not known" if len(heard) > 1 else f"by {_ranks(heard)} if not by this rank"
            return f"a value was changed that was opened since the last check, {who}"
        return None

    def _tell(self, message: bytes, size: int, label: str, context: str = "") -> dict[int, bytes]:
        peers = self._party.peers
        heard = self._party.exchange(dict.fromkeys(peers, message), dict.fromkeys(peers, size), label, context=context)
        return {rank: bytes(heard[rank]) for rank in peers}

    def _result(self, seed: bytes) -> bytes:
        """This party's sum for all that waits, which is nothing afterwards."""
        waiting, self._waiting = self._waiting, Waiting()
        macs = (mac for pairs in waiting.words.values() for mac, _ in pairs)
        if any(one.is_meta for one in (*waiting.tags, *macs)):
            return bytes(RESULT)  # on shapes there is nothing to add up
        generator = Generator(seed)
        total = 0
        for size, pairs in sorted(waiting.words.items()):
            off = sum(words_off(mac, value, self._key, generator) for mac, value in pairs)
            total += off << (wide.BITS - 8 * size)  # opened modulo 2^(8 size), so right modulo that
        rows = torch.cat([torch.empty((TAG, 0), dtype=torch.uint8), *waiting.tags], 1)
        return (total % (1 << wide.BITS)).to_bytes(wide.SIZE, "little") + hashed(rows, bytes(generator.take(HASH)))


def words_off(mac: Tensor, value: Tensor, key: Key, generator: Generator) -> int:
    """Sum of coefficient * (MAC - key * value), for limbs (4, n) and coefficients of 40 bits."""
    total = 0
    for start in range(0, mac.shape[1], BLOCK):
        cut = slice(start, start + BLOCK)
        n = mac[:, cut].shape[1]
        drawn = torch.frombuffer(generator.take(8 * n), dtype=torch.int32).reshape(2, n)
        pieces = (drawn & ((1 << PIECE) - 1)).to(torch.int64)
        for limbs, factor in ((mac, 1), (value, -key.alpha)):
            sums = torch.matmul(limbs[:, cut], pieces.t()).tolist()
            total += factor * sum(
                sums[k][j] << (wide.LIMB * k + PIECE * j) for k in range(wide.COUNT) for j in range(2)
            )
    return total


def hashed(rows: Tensor, key: bytes) -> bytes:
    """GHASH of the planes (TAG, bytes), one after the other: linear in them, since that of zeros is taken off."""
    cipher, nonce = AESGCM(key), bytes(12)
    octets = as_bytes(rows.contiguous())
    some, none = (cipher.encrypt(nonce, b"", data) for data in (octets, bytes(len(octets))))
    return bytes(a ^ b for a, b in zip(some, none, strict=True))


def _zero(results: Sequence[bytes]) -> bool:
    """Whether results add up to nothing."""
    words = sum(int.from_bytes(one[: wide.SIZE], "little") for one in results) % (1 << wide.BITS)
    tags = 0
    for one in results:
        tags ^= int.from_bytes(one[wide.SIZE :], "big")
    return words == 0 and tags == 0


def _ranks(odd: Sequence[int] | Mapping[int, bytes]) -> str:
    return " and ".join(f"rank {rank}" for rank in odd)
