"""Certificates: whom a rank trusts, and throwaway ones for runs on one machine."""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from parties.errors import ConfigurationError

__all__ = ["Credentials", "local_credentials"]

_VALID = dt.timedelta(days=30)


@dataclass(frozen=True)
class Credentials:
    """What one rank needs to authenticate itself and its peers.

    Attributes:
        certificate: PEM file with this rank's certificate, its chain after it.
        key: PEM file with the private key.
        authority: PEM file with the certificates of the authorities that sign the ranks' certificates.
        names: for each rank the DNS name in its certificate's subject alternative names; it binds rank to key.
    """

    certificate: Path
    key: Path
    authority: Path
    names: tuple[str, ...]

    @classmethod
    def in_folder(cls, folder: str | Path, rank: int, size: int) -> Credentials:
        """The credentials of one rank in a folder laid out as `local_credentials` does."""
        folder = Path(folder)
        names = tuple(f"rank-{other}.jointfit.internal" for other in range(size))
        return cls(folder / f"rank-{rank}.crt", folder / f"rank-{rank}.key", folder / "authority.crt", names)

    def contexts(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        """Contexts to accept and to dial with: TLS 1.3 only, both ends show certificates, no session tickets.

        Raises:
            ConfigurationError: a file is missing or is no certificate or key.
        """
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.num_tickets = 0  # a side that only sends would otherwise truncate the peer's data at its close
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = True
        for context in (server, client):
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(self.authority)
                context.load_cert_chain(self.certificate, self.key)
            except (OSError, ssl.SSLError) as error:
                raise ConfigurationError(f"credentials {self.certificate}, {self.key}: {error}") from error
        return server, client


def local_credentials(n: int, folder: str | Path) -> list[Credentials]:
    """Make a throwaway authority and one certificate for each of n ranks, valid for 30 days.

    Arguments:
        n: number of ranks.
        folder: an existing folder that only this user can read; gets three files and two more for each rank.

    Security: for runs on one machine only. Whoever reads the folder can take the part of any rank. The key of the
    authority is never written.
    """
    folder = Path(folder)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("jointfit local authority")
    authority = (
        _builder(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    (folder / "authority.crt").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    every = [Credentials.in_folder(folder, rank, n) for rank in range(n)]
    for rank, credentials in enumerate(every):
        key = ec.generate_private_key(ec.SECP256R1())
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            _builder(_name(f"jointfit rank {rank}"), authority_name, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(credentials.names[rank])]), critical=False)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        credentials.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        credentials.key.touch(mode=0o600)
        credentials.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return every


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + _VALID)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
