"""``jointfit keygen`` and ``jointfit fingerprint``: a member's key, and what the others pin."""

from __future__ import annotations

import argparse
from pathlib import Path

from mpc.cli.ending import said
from mpc.cli.options import Commands, examples
from parties import ConfigurationError

_KEYGEN = f"""\
Make a private key and a certificate: NAME.key, which never leaves this machine, and NAME.crt. Prints the certificate's
fingerprint, which goes into the job: tell it to the others by a way that nobody else can change, such as the
telephone.

{
    examples(
        ("jointfit keygen hospital_a", "hospital_a.key and hospital_a.crt in this folder, valid for a year"),
        ("jointfit keygen hospital_b --passphrase", "the key file is encrypted; asks for a passphrase"),
        ("jointfit keygen hospital_a --out keys --days 90", "in the folder keys/, for 90 days"),
    )
}

{said(0, 2, 6, 130)}"""

_FINGERPRINT = f"""\
Print the fingerprint of a certificate, as the job has it, and until when the certificate is valid.

{examples(("jointfit fingerprint hospital_a.crt", ""))}

{said(0, 2, 6)}"""


def add(commands: Commands) -> None:
    """Declare both commands."""
    parser = commands.add("keygen", "make a member's key and certificate", _KEYGEN, keygen)
    parser.add_argument("name", help="of the member, as the job has it: lower-case letters, digits, _ and -")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="folder for both files (this one)")
    parser.add_argument("--days", type=int, default=365, metavar="N", help="how long the certificate is valid (365)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--passphrase", action="store_true", help="encrypt the key; asks for a passphrase")
    how.add_argument("--passphrase-file", type=Path, metavar="FILE", help="encrypt the key; first line of this file")
    parser = commands.add("fingerprint", "print the fingerprint of a certificate", _FINGERPRINT, show)
    parser.add_argument("certificate", type=Path, metavar="NAME.crt", help="the certificate")


def keygen(options: argparse.Namespace) -> int:
    """Make an identity."""
    from mpc.jobs.passphrase import new_passphrase, read_passphrase
    from parties.identity import make_identity

    passphrase = new_passphrase() if options.passphrase else read_passphrase(options.passphrase_file)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--out {options.out}: {error.strerror}; want a folder") from error
    made = make_identity(options.name, options.out, passphrase, options.days)
    print(f"""\
private key: {made.key}  (stays here; nobody else may have it)
certificate: {made.certificate}  (no secret; keep it beside the key)

Send this line to whoever writes the job, and confirm it by telephone. It goes under name = "{made.name}":

fingerprint = "{made.fingerprint}\"""")
    return 0


def show(options: argparse.Namespace) -> int:
    """Print a fingerprint."""
    from parties.identity import expires_soon, fingerprint, read_certificate

    certificate = read_certificate(options.certificate)
    print(f'fingerprint = "{fingerprint(certificate)}"')
    print(f"valid until {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    warning = expires_soon(certificate)
    if warning:
        print(f"warning: {warning}")
    return 0
