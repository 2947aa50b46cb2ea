"""From a plain connection to a TLS 1.3 connection whose two ends have proved which ranks they are.

Python's TLS can trust certificates, but not fingerprints. So the two ends first show their certificates, which are
public, in the clear::

    dialling end                                          accepting end
    magic, version, 0, length, certificate (DER)    →
                        ←    magic, version, verdict, length, certificate     (length 0 if the verdict is a refusal)
    verdict (1 byte)                                →
    TLS 1.3, in which each end trusts the certificate that it saw, and no other; both must prove their keys
                        ←    0 (1 byte, inside TLS): the accepting end has checked everything

Each end compares the SHA-256 of what it saw with the pinned fingerprints, and reads the certificate only if they
are equal. After the handshake it compares the certificate of the TLS session once more. A verdict is one of six
numbers, so that a refusal is readable at the other end, and nobody can put words into its error messages.

Nothing in the preface is trusted: whoever changes it on the way makes the connection fail, and learns no more than
who talks to whom, which the certificates' names tell.
"""

from __future__ import annotations

import datetime as dt
import hmac
import ssl
import struct
import time
from enum import IntEnum
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from parties.errors import ConfigurationError, DisagreementError, IdentityError, WireError
from parties.identity import check_dates, common_name, expires_soon, fingerprint, parse_fingerprint

if TYPE_CHECKING:
    import socket

    from parties.credentials import Credentials

__all__ = ["LONGEST_CERTIFICATE", "peer_expires_soon", "secure"]

LONGEST_CERTIFICATE = 8192
"""Bytes of a certificate that a peer may show; one that `make_identity` makes has about 500."""

_HEADER = struct.Struct("!8sBBH")
_MAGIC = b"jointfit"
_VERSION = 1


class _Verdict(IntEnum):
    WELCOME = 0
    NOT_PINNED = 1
    EXPIRED = 2
    EARLY = 3
    UNREADABLE = 4
    VERSION = 5


_SAID = {
    _Verdict.NOT_PINNED: "is not the one pinned for rank {rank} there",
    _Verdict.EXPIRED: "has expired by the clock there",
    _Verdict.EARLY: "is not valid yet by the clock there",
    _Verdict.UNREADABLE: "cannot be read there",
}


def secure(
    plain: socket.socket, credentials: Credentials, *, rank: int, peer: int | None, dialled: bool, timeout: float
) -> tuple[ssl.SSLSocket, int]:
    """Make a connection secure, and make sure who is at its other end.

    Arguments:
        plain: a connected socket; it is used up, and closed if this fails.
        credentials: of this rank.
        rank: of this process.
        peer: the rank that must be at the other end; None: any other rank, as an accepting end wants.
        dialled: whether this end dialled.
        timeout: seconds for all of it; then also the timeout of the socket that is returned.

    Returns:
        The connection, and the rank at its other end. Both ends have accepted each other.

    Raises:
        IdentityError: a certificate is not pinned, expired or not yet valid, here or by what the other end says; or
            this rank's own files cannot be used.
        DisagreementError: the other end speaks another version.
        WireError: it speaks something else, as a port scanner does.
        ConfigurationError: ``peer`` is not one of the other ranks.
        OSError: the connection broke, or it took too long (TimeoutError). Trying again may help.

    Cost: one round trip before those of TLS and one after; about 2.5 KB in each direction, and 3 ms of computing at
    each end (4 ms with a passphrase).
    """
    end = time.monotonic() + timeout
    connection = plain
    try:
        preface = _Preface(plain, credentials, rank, peer, end)
        shown, found = preface.dial() if dialled else preface.accept()
        context = credentials.context(shown, dialled=dialled)
        connection = context.wrap_socket(plain, server_side=not dialled, do_handshake_on_connect=False)
        try:
            _shake_hands(connection, sha256(shown).digest(), found, end, dialled=dialled)
        except ssl.SSLError as error:
            raise _translated(error, found) from error
        connection.settimeout(timeout)
    except BaseException:
        connection.close()
        raise
    return connection, found


def peer_expires_soon(connection: ssl.SSLSocket) -> str | None:
    """A warning if the certificate at the other end of a secure connection expires within 30 days, else None."""
    shown = connection.getpeercert(binary_form=True)
    return None if shown is None else expires_soon(x509.load_der_x509_certificate(shown))


class _Preface:
    """One end of what is said before TLS."""

    def __init__(
        self, plain: socket.socket, credentials: Credentials, rank: int, peer: int | None, end: float
    ) -> None:
        self._plain = plain
        self._own = credentials.own(rank)
        self._rank = rank
        self._peer = peer
        self._pins = {
            each: parse_fingerprint(text) for each, text in enumerate(credentials.fingerprints) if each != rank
        }
        self._end = end
        if peer is not None and peer not in self._pins:
            raise ConfigurationError(f"rank {rank} has no fingerprint of a peer {peer}")

    def dial(self) -> tuple[bytes, int]:
        """The peer's certificate, and its rank."""
        self._show()
        verdict, shown = self._look()
        self._heed(verdict, self._peer)
        verdict, found, error = self._judge(shown)
        _write(self._plain, bytes([verdict]), self._end)
        if error is not None:
            raise error
        return shown, found

    def accept(self) -> tuple[bytes, int]:
        """The peer's certificate, and its rank."""
        try:
            verdict, shown = self._look()
        except DisagreementError:
            self._refuse(_Verdict.VERSION)
            raise
        if verdict is not _Verdict.WELCOME:
            raise WireError("a preface that begins with a refusal", rank=self._peer)
        verdict, found, error = self._judge(shown)
        if error is not None:
            self._refuse(verdict)
            raise error
        self._show()
        self._heed(self._verdict(_read(self._plain, 1, self._end)[0]), found)
        return shown, found

    def _show(self) -> None:
        own = self._own.public_bytes(Encoding.DER)
        _write(self._plain, _HEADER.pack(_MAGIC, _VERSION, _Verdict.WELCOME, len(own)) + own, self._end)

    def _refuse(self, verdict: _Verdict) -> None:
        _write(self._plain, _HEADER.pack(_MAGIC, _VERSION, verdict, 0), self._end)

    def _look(self) -> tuple[_Verdict, bytes]:
        """Read what the other end shows. No more memory is taken than a certificate may have."""
        magic, version, verdict, length = _HEADER.unpack(_read(self._plain, _HEADER.size, self._end))
        if magic != _MAGIC:
            raise WireError("it does not speak jointfit's protocol", rank=self._peer)
        if length > LONGEST_CERTIFICATE:
            text = f"a certificate of {length} bytes; want at most {LONGEST_CERTIFICATE}"
            raise WireError(text, rank=self._peer)
        shown = _read(self._plain, length, self._end)
        if version != _VERSION or verdict == _Verdict.VERSION:
            text = f"the other end speaks version {version} of the handshake; here it is version {_VERSION}"
            raise DisagreementError(text, rank=self._peer)
        return self._verdict(verdict), shown

    def _verdict(self, number: int) -> _Verdict:
        if number not in tuple(_Verdict):
            raise WireError(f"verdict {number}; want 0 to {max(_Verdict)}", rank=self._peer)
        return _Verdict(number)

    def _heed(self, verdict: _Verdict, peer: int | None) -> None:
        """Raise the error of a refusal by the other end."""
        if verdict is _Verdict.WELCOME:
            return
        whose = f"rank {self._rank} ({common_name(self._own)}), {fingerprint(self._own)},"
        who = "the other end" if peer is None else f"rank {peer}"
        said = _SAID.get(verdict, "is of no use there").format(rank=self._rank)
        raise IdentityError(f"{who} refused: the certificate of {whose} {said}", rank=peer)

    def _judge(self, shown: bytes) -> tuple[_Verdict, int, IdentityError | None]:
        """What this end thinks of a certificate: the verdict to tell, its rank, the error to raise."""
        digest = sha256(shown).digest()
        found = -1
        for rank, pin in self._pins.items():
            if hmac.compare_digest(digest, pin):
                found = rank
        if found < 0 or self._peer not in (None, found):
            wanted = "none of the pinned ones"
            if self._peer is not None:
                wanted = f"pinned for rank {self._peer} is sha256:{self._pins[self._peer].hex()}"
            whose = f" (rank {found}'s)" if found >= 0 else ""
            text = f"the certificate shown has fingerprint sha256:{digest.hex()}{whose}; {wanted}"
            return _Verdict.NOT_PINNED, found, IdentityError(text, rank=self._peer)
        try:
            certificate = x509.load_der_x509_certificate(shown)
            whose = f"rank {found} ({common_name(certificate)})"
        except ValueError:
            text = f"the certificate of rank {found} is the pinned one, but malformed"
            return _Verdict.UNREADABLE, found, IdentityError(text, rank=found)
        try:
            check_dates(certificate, whose, rank=found)
        except IdentityError as error:
            early = dt.datetime.now(dt.UTC) < certificate.not_valid_before_utc
            return (_Verdict.EARLY if early else _Verdict.EXPIRED), found, error
        return _Verdict.WELCOME, found, None


def _shake_hands(connection: ssl.SSLSocket, digest: bytes, peer: int, end: float, *, dialled: bool) -> None:
    """The TLS handshake; then both ends know that both have accepted."""
    connection.settimeout(_left(end))
    connection.do_handshake()
    proved = connection.getpeercert(binary_form=True) or b""
    if not hmac.compare_digest(sha256(proved).digest(), digest):
        raise IdentityError(f"rank {peer} proved another certificate than the one it showed", rank=peer)
    if not dialled:
        _write(connection, b"\0", end)
    elif _read(connection, 1, end) != b"\0":
        raise WireError("malformed end of the handshake", rank=peer)


def _translated(error: ssl.SSLError, peer: int) -> Exception:
    """What an error of the TLS library means."""
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return ConnectionError(f"rank {peer} closed the connection during the TLS handshake")
    if "CERT" in (error.reason or "") or isinstance(error, ssl.SSLCertVerificationError):
        return IdentityError(f"no TLS handshake with rank {peer}: {error}", rank=peer)
    return WireError(f"no TLS handshake with rank {peer}: {error}", rank=peer)


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("the handshake took too long")
    return left


def _write(connection: socket.socket, data: bytes, end: float) -> None:
    connection.settimeout(_left(end))
    connection.sendall(data)


def _read(connection: socket.socket, size: int, end: float) -> bytes:
    data = bytearray()
    while len(data) < size:
        connection.settimeout(_left(end))
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("it closed the connection during the handshake")
        data += part
    return bytes(data)
