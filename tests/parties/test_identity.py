import datetime as dt
import os
import re
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from parties.credentials import Credentials, local_credentials
from parties.errors import ConfigurationError, IdentityError, JointfitError
from parties.identity import (
    certify,
    check_dates,
    common_name,
    expires_soon,
    fingerprint,
    make_identity,
    parse_fingerprint,
    read_certificate,
    read_key,
)


def certificate_from(begins, ends):
    """With dates counted in days from now."""
    now = dt.datetime.now(dt.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    return certify("clinic", key, now + dt.timedelta(days=begins), now + dt.timedelta(days=ends))


def credentials_of(*identities, passphrase=None):
    """Of the first one as rank 0."""
    first = identities[0]
    return Credentials(first.certificate, first.key, tuple(each.fingerprint for each in identities), passphrase)


def test_an_identity(tmp_path):
    made = make_identity("hospital_a", tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["hospital_a.crt", "hospital_a.key"]
    assert made.key.stat().st_mode & 0o777 == 0o600
    certificate = read_certificate(made.certificate)
    assert common_name(certificate) == "hospital_a"
    assert made.fingerprint == fingerprint(certificate)
    assert re.fullmatch("sha256:[0-9a-f]{64}", made.fingerprint)
    assert 364 < (certificate.not_valid_after_utc - dt.datetime.now(dt.UTC)) / dt.timedelta(days=1) < 365.1
    assert read_key(made.key).public_key() == certificate.public_key()
    assert credentials_of(made).own(0) == certificate


def test_openssl_shows_the_same_fingerprint(tmp_path):
    made = make_identity("hospital_a", tmp_path)
    command = ["openssl", "x509", "-in", made.certificate, "-noout", "-fingerprint", "-sha256"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("no openssl program here")
    assert shown.strip().partition("=")[2].replace(":", "").lower() == made.fingerprint.removeprefix("sha256:")


@pytest.mark.parametrize("name", ["", "Hospital", "a b", "a/b", "..", "a\n", "ä", "a" * 65])
def test_bad_names(name, tmp_path):
    with pytest.raises(ConfigurationError, match="want 1 to 64 lower-case letters"):
        make_identity(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_bad_numbers_of_days_and_passphrases(tmp_path):
    for days in (0, -1, 10**6):
        with pytest.raises(ConfigurationError, match="want 1 to 36500"):
            make_identity("a", tmp_path, days=days)
    with pytest.raises(ConfigurationError, match="empty passphrase"):
        make_identity("a", tmp_path, passphrase=b"")


def test_nothing_is_overwritten(tmp_path):
    made = make_identity("a", tmp_path)
    before = made.key.read_bytes(), made.certificate.read_bytes()
    with pytest.raises(IdentityError, match=r"a\.key is there already"):
        make_identity("a", tmp_path)
    made.key.unlink()
    with pytest.raises(IdentityError, match=r"a\.crt is there already"):
        make_identity("a", tmp_path)
    assert not made.key.exists()
    assert made.certificate.read_bytes() == before[1]
    with pytest.raises(IdentityError, match="cannot write"):
        make_identity("a", tmp_path / "missing")


def test_passphrases(tmp_path):
    locked = make_identity("a", tmp_path, passphrase=b"correct horse")
    open_one = make_identity("b", tmp_path)
    assert b"ENCRYPTED" in locked.key.read_bytes()
    assert credentials_of(locked, passphrase=b"correct horse").own(0)
    with pytest.raises(IdentityError, match="or the passphrase is wrong"):
        credentials_of(locked, passphrase=b"battery staple").own(0)
    with pytest.raises(IdentityError, match="has a passphrase; none was given"):
        credentials_of(locked).own(0)
    with pytest.raises(IdentityError, match="has no passphrase, but one was given"):
        credentials_of(open_one, passphrase=b"correct horse").own(0)
    assert "correct horse" not in repr(credentials_of(locked, passphrase=b"correct horse"))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_keys_that_others_can_use(mode, tmp_path):
    made = make_identity("a", tmp_path)
    made.key.chmod(mode)
    with pytest.raises(IdentityError, match=f"has mode {mode:04o}; want 0600"):
        credentials_of(made).own(0)


def test_odd_key_files(tmp_path):
    made = make_identity("a", tmp_path)
    link = tmp_path / "link.key"
    link.symlink_to(made.key)
    fifo = tmp_path / "fifo.key"
    os.mkfifo(fifo, 0o600)
    long, junk, folder = tmp_path / "long.key", tmp_path / "junk.key", tmp_path / "folder.key"
    folder.mkdir(0o700)
    for file, data in ((long, bytes(65 << 10)), (junk, b"no key")):
        file.touch(0o600)
        file.write_bytes(data)
    for path, said in (
        (link, "symbolic link"),
        (fifo, "no regular file"),
        (long, "longer than 65536 bytes"),
        (junk, "no PEM private key"),
        (folder, r"no regular file|cannot read"),
        (tmp_path / "missing.key", "cannot read key .*missing.key: No such file"),
    ):
        with pytest.raises(IdentityError, match=said):
            read_key(path)


def test_odd_certificate_files(tmp_path):
    made = make_identity("a", tmp_path)
    data = made.certificate.read_bytes()
    for content, said in ((b"", "no PEM certificate"), (data + data, "2 certificates; want one"), (b"x", "no PEM")):
        made.certificate.write_bytes(content)
        with pytest.raises(IdentityError, match=said):
            read_certificate(made.certificate)


def test_keys_of_another_kind(tmp_path):
    from cryptography.hazmat.primitives import serialization

    key = ec.generate_private_key(ec.SECP384R1())
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "a.key").touch(0o600)
    (tmp_path / "a.key").write_bytes(key.private_bytes(*form))
    with pytest.raises(IdentityError, match="want a private key on curve P-256"):
        read_key(tmp_path / "a.key")


def test_key_and_certificate_of_different_identities(tmp_path):
    one, two = make_identity("a", tmp_path), make_identity("b", tmp_path)
    mixed = Credentials(one.certificate, two.key, (one.fingerprint,))
    with pytest.raises(IdentityError, match=r"b\.key does not belong to certificate .*a\.crt"):
        mixed.own(0)


def test_the_own_certificate_must_be_pinned(tmp_path):
    one, two = make_identity("a", tmp_path), make_identity("b", tmp_path)
    with pytest.raises(IdentityError, match=f"fingerprint {one.fingerprint}; pinned for rank 1 is {two.fingerprint}"):
        credentials_of(one, two).own(1)
    with pytest.raises(IdentityError, match="pinned for rank 2 is none"):
        credentials_of(one, two).own(2)


@pytest.mark.parametrize("text", ["", "sha256:", "sha256:" + "A" * 64, "md5:" + "0" * 64, "sha256:" + "0" * 64 + "\n"])
def test_malformed_fingerprints(text, tmp_path):
    with pytest.raises(ConfigurationError, match="want 'sha256:' and 64"):
        parse_fingerprint(text)
    with pytest.raises(ConfigurationError, match="want 'sha256:' and 64"):
        Credentials(tmp_path / "a.crt", tmp_path / "a.key", (text,))


def test_one_fingerprint_for_two_ranks(tmp_path):
    made = make_identity("a", tmp_path)
    with pytest.raises(ConfigurationError, match="ranks 0 and 1 have the same fingerprint"):
        credentials_of(made, made)


def test_dates():
    check_dates(certificate_from(-1, 1), "a")
    with pytest.raises(IdentityError, match=r"rank 1 expired on \d{4}-\d\d-\d\d \d\d:\d\d UTC") as caught:
        check_dates(certificate_from(-9, -1), "rank 1", rank=1)
    assert caught.value.rank == 1
    with pytest.raises(IdentityError, match=r"the certificate of a is valid from .* is one of the clocks wrong"):
        check_dates(certificate_from(1, 9), "a")


def test_a_warning_before_it_expires():
    assert expires_soon(certificate_from(-1, 31)) is None
    assert re.match(r"the certificate of clinic expires on .*, in 28 days; ", expires_soon(certificate_from(-1, 29)))
    assert "clinic expired on" in expires_soon(certificate_from(-9, -1))
    assert expires_soon(certificate_from(-1, 29), days=7) is None


def test_local_credentials(tmp_path):
    made = local_credentials(3, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        f"rank-{rank}.{kind}" for rank in range(3) for kind in ("crt", "key")
    ]
    assert {each.key.stat().st_mode & 0o777 for each in made} == {0o600}
    assert len(set(made[0].fingerprints)) == 3
    assert Credentials.in_folder(tmp_path, 1, 3) == made[1]
    for rank, each in enumerate(made):
        assert common_name(each.own(rank)) == f"rank-{rank}"
    with pytest.raises(IdentityError, match=r"rank-3\.crt"):
        Credentials.in_folder(tmp_path, 0, 4)
    assert issubclass(IdentityError, JointfitError)
