"""Channels and parties of several ranks in one process, with proxies between them."""

from __future__ import annotations

import tempfile
import threading
from contextlib import ExitStack

from parties.credentials import local_credentials
from parties.errors import JointfitError
from parties.party import Party
from parties.reach import Doors, Route
from parties.sockets import listen
from parties.tls import TlsChannel
from tests.parties.proxies import Proxy


def together(*actions):
    """Run each in a thread; the results, or the errors, in order."""
    results = [None] * len(actions)

    def run(number, action):
        try:
            results[number] = action()
        except (JointfitError, AssertionError) as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Mesh:
    """Ranks whose every link leads through a proxy. A rank dials the higher ones, unlike `direct_routes`.

    Attributes:
        proxies: by (dialling rank, rank that it dials).
        channels: by rank, or the errors they got.
    """

    def __init__(self, folder, n, *, make=TlsChannel, start=True, **given):
        self.n = n
        self.given = {"connect_within": 20, "deadline": 30, "breaks": 3.0, **given}
        self._make = make
        self._stack = ExitStack()
        self.credentials = local_credentials(n, tempfile.mkdtemp(dir=folder)) if make is TlsChannel else None
        listeners = [listen(("127.0.0.1", 0)) for _ in range(n)]
        self.addresses = [listener.getsockname() for listener in listeners]
        self.doors = [Doors(listener) for listener in listeners]
        pairs = [(rank, peer) for rank in range(n) for peer in range(rank + 1, n)]
        self.proxies = {pair: self._stack.enter_context(Proxy(self.addresses[pair[1]])) for pair in pairs}
        self.channels = together(*(lambda rank=rank: self.channel(rank) for rank in range(n))) if start else []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()
        for doors in self.doors:
            doors.close()

    def routes(self, rank):
        return [
            None
            if peer == rank
            else Route(dials=True, address=self.proxies[rank, peer].address)
            if rank < peer
            else Route(dials=False, address=None)
            for peer in range(self.n)
        ]

    def channel(self, rank, **given):
        given = {"doors": self.doors[rank], "routes": self.routes(rank), **self.given, **given}
        if self.credentials is not None:
            given = {"credentials": self.credentials[rank], **given}
        return self._make(rank, **given)

    def parties(self):
        """Parties of all ranks, to be used in the order that a test wants."""
        return together(*(lambda channel=channel: Party(channel, dealer=None) for channel in self.channels))

    def run(self, program):
        """Run a program on all ranks."""

        def work(rank):
            party = Party(self.channels[rank], dealer=None)
            try:
                result = program(party)
                party.close()
            except BaseException as error:
                party.fail(error)
                raise
            return result

        return together(*(lambda rank=rank: work(rank) for rank in range(self.n)))
