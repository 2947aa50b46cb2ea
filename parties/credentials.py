"""Credentials: with which key a rank proves who it is, and which certificate it accepts from each other rank."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from parties.errors import ConfigurationError, IdentityError
from parties.identity import (
    check_dates,
    common_name,
    fingerprint,
    make_identity,
    parse_fingerprint,
    read_certificate,
    read_key,
)

__all__ = ["Credentials", "local_credentials"]

_DAYS = 60  # longer than the time in which one is warned


@dataclass(frozen=True)
class Credentials:
    """What one rank needs to authenticate itself and its peers.

    Attributes:
        certificate: PEM file with this rank's certificate.
        key: PEM file with its private key; see `identity.read_key` for what is asked of it.
        fingerprints: for each rank that of its certificate, this rank's included; it binds rank to key.
        passphrase: of the key file, or None.

    Raises:
        ConfigurationError: a malformed fingerprint, or one that stands for two ranks.
    """

    certificate: Path
    key: Path
    fingerprints: tuple[str, ...]
    passphrase: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        seen: dict[str, int] = {}
        for rank, each in enumerate(self.fingerprints):
            parse_fingerprint(each)
            if each in seen:
                raise ConfigurationError(
                    f"ranks {seen[each]} and {rank} have the same fingerprint {each}; each needs a key of its own"
                )
            seen[each] = rank

    @classmethod
    def in_folder(cls, folder: str | Path, rank: int, size: int) -> Credentials:
        """The credentials of one rank in a folder laid out as `local_credentials` does.

        Raises:
            IdentityError: a certificate is missing or unreadable.
        """
        folder = Path(folder)
        pinned = tuple(fingerprint(read_certificate(folder / f"rank-{other}.crt")) for other in range(size))
        return cls(folder / f"rank-{rank}.crt", folder / f"rank-{rank}.key", pinned)

    def own(self, rank: int) -> x509.Certificate:
        """Read the certificate and the key, and check that they can be used as this rank's.

        Raises:
            IdentityError: a file is missing, unreadable or open to others; the passphrase does not fit; key and
                certificate do not belong together; it has expired, or is not the one that is pinned for this rank.
        """
        certificate = read_certificate(self.certificate)
        whose = f"rank {rank} ({common_name(certificate)})"
        if read_key(self.key, self.passphrase).public_key() != certificate.public_key():
            raise IdentityError(f"key {self.key} does not belong to certificate {self.certificate}", rank=rank)
        check_dates(certificate, whose, rank=rank)
        wanted = self.fingerprints[rank] if rank < len(self.fingerprints) else "none"
        if fingerprint(certificate) != wanted:
            raise IdentityError(
                f"certificate {self.certificate} has fingerprint {fingerprint(certificate)}; pinned for rank {rank} "
                f"is {wanted}",
                rank=rank,
            )
        return certificate

    def context(self, peer: bytes, *, dialled: bool) -> ssl.SSLContext:
        """A context for one connection: TLS 1.3 only, this rank's certificate, and trust in one other alone.

        Arguments:
            peer: the DER of the peer's certificate, whose hash was compared before.
            dialled: whether this end dials.

        Raises:
            IdentityError: certificate and key cannot be loaded.

        The peer is identified by the hash of its certificate, so no host name is checked. Nobody is ever asked for a
        passphrase on the terminal.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if dialled else ssl.PROTOCOL_TLS_SERVER)
        if not dialled:
            context.num_tickets = 0  # a side that only sends would otherwise truncate the peer's data at its close
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.options |= ssl.OP_NO_COMPRESSION
        try:
            context.load_verify_locations(cadata=peer)
            context.load_cert_chain(self.certificate, self.key, lambda: self.passphrase or b"")
        except (OSError, ValueError) as error:
            raise IdentityError(f"credentials {self.certificate}, {self.key}: {error}") from error
        return context


def local_credentials(n: int, folder: str | Path) -> list[Credentials]:
    """Make a throwaway identity for each of n ranks, valid for 60 days; each pins all others.

    Arguments:
        n: number of ranks.
        folder: an existing folder that only this user can read; gets rank-0.crt, rank-0.key, rank-1.crt …

    Security: for runs on one machine only. Whoever reads the folder can take the part of any rank.
    """
    for rank in range(n):
        make_identity(f"rank-{rank}", folder, days=_DAYS)
    return [Credentials.in_folder(folder, rank, n) for rank in range(n)]
