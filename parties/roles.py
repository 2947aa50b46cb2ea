"""How a process finds out who it is: from arguments, from `jointfit run`, or from mpirun."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from parties.channel import DEADLINE
from parties.errors import ConfigurationError, JointfitError
from parties.frames import Failure
from parties.needs import default_protocol, needs_of
from parties.party import Party
from parties.ranks import check_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parties.channel import Channel
    from parties.credentials import Credentials
    from parties.reach import Doors
    from parties.sockets import Address

__all__ = ["CLIENTS", "DEALER", "clients_of", "connect", "doors_of", "parse_address", "place_of"]

DEALER = "JOINTFIT_DEALER"
"""Names a variable: "last" if the last rank is a dealer, "none" if there is none; unset: what the protocol needs."""

CLIENTS = "JOINTFIT_CLIENTS"
"""Names a variable: how many ranks, after the computing ones, are clients."""

_MPI = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK", "PMI_RANK", "MPI_LOCALNRANKS")
_HOW = (
    "start a program with `jointfit run -n 3 program.py` or `launch_scripts/mpirun -n 3 python program.py`: two "
    "computing parties and a dealer, or three of a protocol without one; or pass rank, addresses and credentials"
)


def connect(
    *,
    rank: int | None = None,
    addresses: Sequence[Address | str] | None = None,
    credentials: Credentials | None = None,
    dealer: bool | None = None,
    clients: int | None = None,
    deadline: float | None = None,
    environ: Mapping[str, str] | None = None,
) -> Party:
    """Join the session that this process was started for, and wait until all ranks are there.

    Arguments:
        rank, addresses, credentials: of a TLS session that the caller describes; all three or none. An address is
            (host, port) or "host:port": where this rank reaches each other one, and its own, where it listens. So
            the ranks' lists may differ, behind port forwarding or a proxy.
        dealer: whether the last rank is a dealer; by default what JOINTFIT_DEALER says ("none" or "last"), else what
            the protocol of JOINTFIT_PROTOCOL needs, else yes.
        clients: how many ranks, after the computing ones, are clients; by default JOINTFIT_CLIENTS, else none.
        deadline: seconds to wait for a peer; by default JOINTFIT_DEADLINE, else 600.
        environ: read instead of the process's environment.

    It looks at the arguments first, then at JOINTFIT_RANK, JOINTFIT_ADDRESSES, JOINTFIT_CREDENTIALS (a folder) and
    JOINTFIT_LISTEN_FD, which `jointfit run` sets, then for an MPI launcher. JOINTFIT_BREAKS says for how many seconds a
    broken link of a TLS session may be gone; 0 if it is not set.

    Returns:
        The Party of this process; to be used as a context manager, or closed.

    Raises:
        ConfigurationError: nothing says who this process is, or there are too few ranks; says how to start one.
        DeadlineError: a peer was not reached.

    Security: over MPI the links are neither encrypted nor authenticated.
    """
    environ = os.environ if environ is None else environ
    if dealer is None:
        dealer = _dealer(environ)
    if clients is None:
        clients = clients_of(environ)
    wait = _deadline(environ) if deadline is None else deadline
    given = [value is not None for value in (rank, addresses, credentials)]
    if any(given) and not all(given):
        raise ConfigurationError("connect() got some of rank, addresses and credentials; want all three or none")
    channel: Channel
    if rank is not None and addresses is not None and credentials is not None:
        from parties.reach import Doors, direct_routes
        from parties.sockets import listen
        from parties.tls import TlsChannel

        check_size(len(addresses), dealer=dealer, clients=clients)
        where = [parse_address(each) for each in addresses]
        channel = TlsChannel(
            rank,
            direct_routes(rank, where),
            credentials,
            doors=Doors(listen(where[rank])),
            deadline=wait,
            breaks=_breaks(environ),
        )
    elif "JOINTFIT_RANK" in environ:
        channel = _from_environment(environ, dealer=dealer, clients=clients, deadline=wait)
    elif any(name in environ for name in _MPI):
        from parties.mpi import MpiChannel

        for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE"):
            if environ.get(name, "").isdigit():
                check_size(int(environ[name]), dealer=dealer, clients=clients)
        channel = MpiChannel(deadline=wait)
    else:
        raise ConfigurationError(f"this process has no peers; {_HOW}")
    try:
        return Party(channel, dealer=dealer, clients=clients)
    except JointfitError as error:
        channel.abort(Failure.of(error, channel.rank))
        raise


def parse_address(text: Address | str) -> Address:
    """Read "host:port" or "[host]:port"."""
    if isinstance(text, tuple):
        return text
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not (host and port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 1 << 16):
        raise ConfigurationError(f"address {text[:100]!r}; want host:port")
    try:
        host.encode("idna")
    except UnicodeError:
        raise ConfigurationError(f"address {text[:100]!r}; want names of 1 to 63 characters between dots") from None
    if "\0" in host:
        raise ConfigurationError(f"address {text[:100]!r}; want a host without zero bytes")
    return host, int(port)


def place_of(environ: Mapping[str, str]) -> tuple[int, list[Address]]:
    """This process's rank and all ranks' addresses, as `launch.run_local` says.

    Raises:
        ConfigurationError: it does not say so, or says it wrongly.
    """
    try:
        return int(environ["JOINTFIT_RANK"]), [parse_address(each) for each in environ["JOINTFIT_ADDRESSES"].split(",")]
    except KeyError as error:
        raise ConfigurationError(f"{error.args[0]} is not set, though JOINTFIT_RANK is; {_HOW}") from error
    except ValueError as error:
        raise ConfigurationError(f"malformed JOINTFIT_ variables: {str(error)[:200]}") from error


def doors_of(environ: Mapping[str, str], address: Address) -> Doors:
    """Where others reach this process: at the socket that `launch.run_local` handed on, or else at an address.

    Raises:
        ConfigurationError: no socket was handed on, or the address cannot be listened at.
    """
    from parties.reach import Doors
    from parties.sockets import listen

    said = environ.get("JOINTFIT_LISTEN_FD")
    if said is None:
        return Doors(listen(address))
    try:
        return Doors(socket.socket(fileno=int(said)))
    except (OSError, ValueError, OverflowError) as error:
        raise ConfigurationError(f"JOINTFIT_LISTEN_FD is {said[:100]!r}, which is no socket") from error


def _from_environment(environ: Mapping[str, str], *, dealer: bool, clients: int, deadline: float) -> Channel:
    from parties.credentials import Credentials
    from parties.reach import direct_routes
    from parties.tls import TlsChannel

    rank, addresses = place_of(environ)
    folder = environ.get("JOINTFIT_CREDENTIALS")
    if folder is None:
        raise ConfigurationError(f"JOINTFIT_CREDENTIALS is not set, though JOINTFIT_RANK is; {_HOW}")
    check_size(len(addresses), dealer=dealer, clients=clients)
    if not 0 <= rank < len(addresses):
        raise ConfigurationError(f"JOINTFIT_RANK is {rank}, with {len(addresses)} addresses; want one of their ranks")
    breaks = _breaks(environ)
    doors = doors_of(environ, addresses[rank])
    try:
        credentials = Credentials.in_folder(folder, rank, len(addresses))
        return TlsChannel(
            rank, direct_routes(rank, addresses), credentials, doors=doors, deadline=deadline, breaks=breaks
        )
    except BaseException:
        doors.close()
        raise


def _dealer(environ: Mapping[str, str]) -> bool:
    said = environ.get(DEALER)
    if said is None:
        return needs_of(default_protocol(environ)).dealer
    if said not in ("last", "none"):
        raise ConfigurationError(f"{DEALER} is {said[:100]!r}; want 'last' or 'none'")
    return said == "last"


def clients_of(environ: Mapping[str, str]) -> int:
    """How many clients JOINTFIT_CLIENTS says there are; none if it is not set."""
    said = environ.get(CLIENTS, "0")
    if not (said.isascii() and said.isdigit() and len(said) <= 5):
        raise ConfigurationError(f"JOINTFIT_CLIENTS is {said!r:.100}; want the number of clients")
    return int(said)


def _deadline(environ: Mapping[str, str]) -> float:
    said = environ.get("JOINTFIT_DEADLINE")
    try:
        return DEADLINE if said is None else float(said)
    except ValueError as error:
        raise ConfigurationError(f"JOINTFIT_DEADLINE is {said!r:.100}; want seconds") from error


def _breaks(environ: Mapping[str, str]) -> float:
    said = environ.get("JOINTFIT_BREAKS", "0")
    try:
        return float(said)
    except ValueError as error:
        raise ConfigurationError(f"JOINTFIT_BREAKS is {said!r:.100}; want seconds") from error
