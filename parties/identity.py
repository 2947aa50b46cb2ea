"""Identities: a party's private key and the certificate that it shows to its peers.

There is no authority. Each party makes its own key and certificate with `make_identity`, tells the others the
certificate's fingerprint once (by telephone, on paper), and everybody *pins* it: whoever shows another certificate is
refused. To renew a key is to make a new identity and to write the new fingerprint into the job; to revoke one is to
take its fingerprint out of the job.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import stat
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from parties.errors import ConfigurationError, IdentityError

__all__ = [
    "Identity",
    "certify",
    "check_dates",
    "common_name",
    "expires_soon",
    "fingerprint",
    "make_identity",
    "parse_fingerprint",
    "read_certificate",
    "read_key",
]

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST = 64 << 10
_LONGEST_DAYS = 36500
_SKEW = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Identity:
    """What `make_identity` made: the files of a party's certificate and key, and the fingerprint to tell the others."""

    name: str
    certificate: Path
    key: Path
    fingerprint: str


def make_identity(name: str, folder: str | Path, passphrase: bytes | None = None, days: int = 365) -> Identity:
    """Make a key on curve P-256 and a self-signed certificate: NAME.key (mode 0600) and NAME.crt in a folder.

    Arguments:
        name: of the party: 1 to 64 lower-case letters, digits, _ and -. It stands in the certificate, which peers see.
        folder: an existing folder.
        passphrase: encrypts the key file (PKCS#8, PBKDF2 and AES-256); without one its mode alone protects it.
        days: until the certificate expires. It is valid from one hour ago, for peers whose clocks are late.

    Raises:
        ConfigurationError: a bad name, an empty passphrase or number of days.
        IdentityError: one of the files is there already; nothing is ever overwritten.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"party name {name!r}; want 1 to 64 lower-case letters, digits, _ and -")
    if not 1 <= days <= _LONGEST_DAYS:
        raise ConfigurationError(f"a certificate for {days} days; want 1 to {_LONGEST_DAYS}")
    if passphrase is not None and not passphrase:
        raise ConfigurationError("an empty passphrase; want at least one byte, or none for a key file without")
    folder = Path(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    certificate = certify(name, key, now - _SKEW, now + dt.timedelta(days=days))
    made = Identity(name, folder / f"{name}.crt", folder / f"{name}.key", fingerprint(certificate))
    locked = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    _create(made.key, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked), 0o600)
    try:
        _create(made.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    except BaseException:
        made.key.unlink()
        raise
    return made


def certify(name: str, key: ec.EllipticCurvePrivateKey, begins: dt.datetime, ends: dt.datetime) -> x509.Certificate:
    """A certificate for a key, signed by that key, as RFC 5280 and OpenSSL's strict mode want it."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
         "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    alternative = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"jointfit:{name}")])
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(alternative, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def fingerprint(certificate: x509.Certificate) -> str:
    """What peers pin: "sha256:" and the SHA-256 of the certificate's DER in 64 hexadecimal digits.

    ``openssl x509 -in NAME.crt -noout -fingerprint -sha256`` shows the same digits.
    """
    return "sha256:" + sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def parse_fingerprint(text: str) -> bytes:
    """The 32 bytes of a fingerprint.

    Raises:
        ConfigurationError: it is not written as `fingerprint` writes it.
    """
    if not _FINGERPRINT.fullmatch(text):
        raise ConfigurationError(f"fingerprint {text[:80]!r}; want 'sha256:' and 64 hexadecimal digits in lower case")
    return bytes.fromhex(text.removeprefix("sha256:"))


def common_name(certificate: x509.Certificate) -> str:
    """The name of the party that a certificate states. Only a pinned certificate's name means anything."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return "".join(c for c in str(names[0].value)[:64] if c.isprintable()) if names else "without a name"


def read_certificate(path: Path) -> x509.Certificate:
    """Read a PEM file with exactly one certificate, of at most 64 KiB.

    Raises:
        IdentityError: it cannot be read, or holds something else.
    """
    try:
        certificates = x509.load_pem_x509_certificates(_read(path, "certificate"))
    except ValueError as error:
        raise IdentityError(f"certificate {path}: no PEM certificate") from error
    if len(certificates) != 1:
        raise IdentityError(f"certificate {path}: {len(certificates)} certificates; want one")
    return certificates[0]


def read_key(path: Path, passphrase: bytes | None = None) -> ec.EllipticCurvePrivateKey:
    """Read a private key as `make_identity` writes it.

    Raises:
        IdentityError: it cannot be read, others could read it, it is no P-256 key, or the passphrase does not fit.
    """
    data = _read(path, "key", private=True)
    try:
        key = serialization.load_pem_private_key(data, passphrase)
    except TypeError as error:
        lacks = "has a passphrase; none was given" if passphrase is None else "has no passphrase, but one was given"
        raise IdentityError(f"key {path} {lacks}") from error
    except ValueError as error:
        # the cause is not shown: OpenSSL's text differs between versions
        wrong = "no PEM private key" if passphrase is None else "no PEM private key, or the passphrase is wrong"
        raise IdentityError(f"key {path}: {wrong}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise IdentityError(f"key {path}: want a private key on curve P-256, as `jointfit keygen` makes it")
    return key


def check_dates(certificate: x509.Certificate, whose: str, *, rank: int | None = None) -> None:
    """Refuse a certificate that has expired or is not valid yet, by this machine's clock.

    Arguments:
        certificate: to check.
        whose: stands in the message: "the certificate of …".
        rank: that the error concerns.

    Raises:
        IdentityError: says since when, or from when.
    """
    now = dt.datetime.now(dt.UTC)
    ends, begins = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    if now > ends:
        raise IdentityError(
            f"the certificate of {whose} expired on {_date(ends)}; it needs a new one, and the job its fingerprint",
            rank=rank,
        )
    if now < begins:
        raise IdentityError(
            f"the certificate of {whose} is valid from {_date(begins)}, and this clock shows {_date(now)}; "
            "is one of the clocks wrong?",
            rank=rank,
        )


def expires_soon(certificate: x509.Certificate, days: int = 30) -> str | None:
    """A warning if a certificate expires within some days, else None."""
    ends = certificate.not_valid_after_utc
    left = ends - dt.datetime.now(dt.UTC)
    if left >= dt.timedelta(days=days):
        return None
    when = f"expires on {_date(ends)}, in {left.days} days" if left > dt.timedelta() else f"expired on {_date(ends)}"
    return f"the certificate of {common_name(certificate)} {when}; make a new one in time"


def _date(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _create(path: Path, data: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError as error:
        raise IdentityError(f"{path} is there already, and keys are never overwritten; move it away first") from error
    except OSError as error:
        raise IdentityError(f"cannot write {path}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def _read(path: Path, what: str, *, private: bool = False) -> bytes:
    """A file of bounded size; a private one must be this user's alone."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_NOFOLLOW if private else 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise IdentityError(f"{what} {path} is no regular file")
            if private and found.st_uid != os.geteuid():
                raise IdentityError(f"{what} {path} belongs to user {found.st_uid}; want this user, {os.geteuid()}")
            if private and found.st_mode & 0o077:
                mode = stat.S_IMODE(found.st_mode)
                raise IdentityError(f"{what} {path} has mode {mode:04o}; want 0600: others must not use it")
            data = file.read(_LONGEST + 1)
    except OSError as error:
        link = "it is a symbolic link" if private and path.is_symlink() else error.strerror
        raise IdentityError(f"cannot read {what} {path}: {link}") from error
    if len(data) > _LONGEST:
        raise IdentityError(f"{what} {path} is longer than {_LONGEST} bytes")
    return data
