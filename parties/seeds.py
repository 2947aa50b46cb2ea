"""Seeds that pairs of ranks have in common, and the streams drawn from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parties.errors import ConfigurationError
from parties.prg import SEED_SIZE, Generator, derive, new_seed

if TYPE_CHECKING:
    from parties.party import Party

__all__ = ["Seeds", "exchange_seeds"]


class Seeds:
    """The seeds of one rank: one for each other rank (the dealer included), and its own. A client's: with the dealer.

    Arguments:
        session: the session id, bound into every stream.
        rank: of this process.
        pairs: seed of 32 bytes for each other rank, equal on both ends.
    """

    def __init__(self, session: bytes, rank: int, pairs: dict[int, bytes]) -> None:
        self._session = session
        self._rank = rank
        self._pairs = dict(pairs)
        self._streams: dict[tuple[int, str, int], Generator] = {}

    def stream(self, peer: int, purpose: str, sender: int | None = None) -> Generator:
        """The generator that this rank and ``peer`` have in common for a purpose.

        Arguments:
            peer: the other rank.
            purpose: what the bytes are for, the same on both ends.
            sender: the rank on whose behalf the bytes are drawn, for purposes that have a direction.

        Returns:
            A live generator; the same one, at its present position, whenever the same arguments come again. Both ends
            must draw the same numbers of bytes from it.

        Security: its key is derived from the seed of the pair, the session id, both ranks, the purpose and the
        sender. Everybody but the two ends sees random bytes.
        """
        if peer not in self._pairs:
            raise ConfigurationError(f"no seed with rank {peer}; want one of {sorted(self._pairs)}")
        if sender not in (None, peer, self._rank):
            raise ConfigurationError(f"sender {sender}; want rank {self._rank} or {peer}")
        key = (peer, purpose, -1 if sender is None else sender)
        if key not in self._streams:
            low, high = sorted((self._rank, peer))
            seed = derive(self._pairs[peer], "stream", self._session, low, high, purpose, key[2])
            self._streams[key] = Generator(seed)
        return self._streams[key]

    def private(self, purpose: str) -> Generator:
        """This rank's own generator for a purpose, keyed by the operating system; live, as those of `stream`."""
        key = (self._rank, purpose, -1)
        if key not in self._streams:
            self._streams[key] = Generator(new_seed())
        return self._streams[key]

    def erase(self) -> None:
        """Forget all seeds and generators; done on abort. Python may keep copies until it reuses memory."""
        self._pairs.clear()
        self._streams.clear()

    def __repr__(self) -> str:
        return f"Seeds(rank {self._rank}, with ranks {sorted(self._pairs)})"


def exchange_seeds(party: Party) -> Seeds:
    """Agree on one seed with every other rank, or of a client and the dealer; all ranks call it at once.

    Each end of a pair sends 32 bytes of its operating system's generator, and the seed is derived from both, so that
    it is random if one end is honest. Over TLS nobody else sees them; over MPI or threads whoever can read the
    links or the memory does.

    Cost: one round in phase "setup", 32 bytes for each seed, in both directions.

    >>> def program(party):
    ...     seeds = parties.exchange_seeds(party)
    ...     return bytes(seeds.stream(1 - party.rank, "zero").take(8))
    >>> one, other = parties.simulate(2, program, dealer=False)
    >>> one == other
    True
    """
    others = [rank for rank in range(party.size) if rank != party.rank and _have_a_seed(party, rank)]
    mine = {rank: new_seed() for rank in others}
    theirs = party.exchange(mine, dict.fromkeys(others, SEED_SIZE), "pairwise seeds", phase="setup")
    pairs = {}
    for rank in others:
        low, high = (mine[rank], bytes(theirs[rank])) if party.rank < rank else (bytes(theirs[rank]), mine[rank])
        pairs[rank] = derive(low, "pair seed", party.session, high)
    return Seeds(party.session, party.rank, pairs)


def _have_a_seed(party: Party, rank: int) -> bool:
    """Whether this rank and another need a seed: all pairs do but those of a client and a rank that is no dealer."""
    pair = (party.rank, rank)
    return party.dealer in pair or not any(one in party.clients for one in pair)
