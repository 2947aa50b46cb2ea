import datetime as dt
import os
import socket
import ssl
import struct
import threading
import time
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from parties.credentials import Credentials, local_credentials
from parties.errors import ConfigurationError, DisagreementError, IdentityError, JointfitError, WireError
from parties.identity import certify, fingerprint, make_identity, read_certificate
from parties.secure import LONGEST_CERTIFICATE, secure

HEADER = struct.Struct("!8sBBH")


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return local_credentials(3, tmp_path_factory.mktemp("identities"))


def dated(folder, name, begins, ends):
    """An identity whose certificate has dates counted in days from now."""
    made = make_identity(name, folder)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    certificate = certify(name, key, now + dt.timedelta(days=begins), now + dt.timedelta(days=ends))
    made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    made.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    return replace(made, fingerprint=fingerprint(certificate))


def der(credentials):
    return read_certificate(credentials.certificate).public_bytes(Encoding.DER)


def both(dialling, accepting):
    """Run the two ends of a connection in two threads; their results, or errors."""
    ends = socket.socketpair()
    results = [None, None]

    def run(number, action):
        try:
            results[number] = action(ends[number])
        except (JointfitError, OSError) as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate((dialling, accepting))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    for end in ends:
        end.close()
    return results


def dials(credentials, rank, peer, timeout=5.0):
    return lambda plain: secure(plain, credentials, rank=rank, peer=peer, dialled=True, timeout=timeout)


def accepts(credentials, rank, peer=None, timeout=5.0):
    return lambda plain: secure(plain, credentials, rank=rank, peer=peer, dialled=False, timeout=timeout)


def trusting(credentials, shown):
    """Credentials that skip the checks of the own files: what somebody else's program might use."""

    class Careless(Credentials):
        def own(self, rank):
            return read_certificate(shown)

    return Careless(credentials.certificate, credentials.key, credentials.fingerprints)


@pytest.mark.parametrize("peer", [None, 1])
def test_two_ranks(peer, credentials):
    (one, found), (two, who) = both(dials(credentials[1], 1, 0), accepts(credentials[0], 0, peer))
    assert (found, who) == (0, 1)
    with one, two:
        one.sendall(b"question")
        assert two.recv(100) == b"question"
        assert one.version() == two.version() == "TLSv1.3"
        assert one.gettimeout() == 5
        assert two.compression() is None
        assert one.session is None or not one.session.has_ticket
        assert not one.session_reused
        assert sha256(one.getpeercert(binary_form=True)).hexdigest() in credentials[0].fingerprints[0]


def test_a_strict_context(credentials):
    """The flags that Python 3.13 sets by itself, on every version."""
    for dialled in (True, False):
        context = credentials[0].context(der(credentials[1]), dialled=dialled)
        assert context.verify_flags & ssl.VERIFY_X509_STRICT
        assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
        assert context.cert_store_stats()["x509"] == 1


def test_a_key_with_a_passphrase(tmp_path):
    one, two = make_identity("a", tmp_path, passphrase=b"correct horse"), make_identity("b", tmp_path)
    pinned = (one.fingerprint, two.fingerprint)
    locked = Credentials(one.certificate, one.key, pinned, b"correct horse")
    other = Credentials(two.certificate, two.key, pinned)
    (dialled, _), (accepted, _) = both(dials(other, 1, 0), accepts(locked, 0))
    dialled.close()
    accepted.close()
    for passphrase in (None, b"wrong"):
        dialled, accepted = both(dials(other, 1, 0), accepts(replace(locked, passphrase=passphrase), 0))
        assert isinstance(accepted, IdentityError)
        assert "passphrase" in str(accepted)
        assert isinstance(dialled, OSError)


def test_the_context_asks_nobody_for_a_passphrase(tmp_path):
    one = make_identity("a", tmp_path, passphrase=b"correct horse")
    with pytest.raises(IdentityError, match="credentials"):
        Credentials(one.certificate, one.key, (one.fingerprint,)).context(der(one), dialled=True)


def test_a_dialling_end_that_is_not_pinned(credentials, tmp_path):
    stranger = local_credentials(3, tmp_path)[1]
    pins = (credentials[0].fingerprints[0], *stranger.fingerprints[1:])
    dialled, accepted = both(dials(replace(stranger, fingerprints=pins), 1, 0), accepts(credentials[0], 0))
    assert isinstance(accepted, IdentityError)
    assert str(accepted) == (
        f"the certificate shown has fingerprint {stranger.fingerprints[1]}; none of the pinned ones"
    )
    assert isinstance(dialled, IdentityError)
    assert dialled.rank == 0
    assert str(dialled) == (
        f"rank 0 refused: the certificate of rank 1 (rank-1), {stranger.fingerprints[1]}, "
        "is not the one pinned for rank 1 there"
    )


def test_an_accepting_end_that_is_not_pinned(credentials, tmp_path):
    """The same name, dates and form, but another key."""
    stranger = local_credentials(3, tmp_path)[0]
    pins = (stranger.fingerprints[0], *credentials[0].fingerprints[1:])
    dialled, accepted = both(dials(credentials[1], 1, 0), accepts(replace(stranger, fingerprints=pins), 0))
    assert isinstance(dialled, IdentityError)
    assert dialled.rank == 0
    assert f"{stranger.fingerprints[0]}; pinned for rank 0 is {credentials[0].fingerprints[0]}" in str(dialled)
    assert isinstance(accepted, IdentityError)
    assert accepted.rank == 1
    assert "rank 1 refused: the certificate of rank 0 (rank-0)" in str(accepted)


def test_another_rank_than_the_one_wanted(credentials):
    dialled, accepted = both(dials(credentials[2], 2, 0), accepts(credentials[0], 0, peer=1))
    assert "(rank 2's); pinned for rank 1 is" in str(accepted)
    assert accepted.rank == 1
    assert isinstance(dialled, IdentityError)
    dialled, accepted = both(dials(credentials[2], 2, 0), accepts(credentials[1], 1))
    assert "(rank 1's); pinned for rank 0 is" in str(dialled)
    assert isinstance(accepted, IdentityError)


@pytest.mark.parametrize("peer", [0, 3, -1])
def test_a_peer_that_is_none(peer, credentials):
    one, other = socket.socketpair()
    with one, other, pytest.raises(ConfigurationError, match=f"rank 0 has no fingerprint of a peer {peer}"):
        secure(one, credentials[0], rank=0, peer=peer, dialled=True, timeout=5)


def test_a_reflection(credentials):
    """A rank's own preface, sent back to it."""

    def echo(plain):
        plain.settimeout(5)
        while data := plain.recv(4096):
            plain.sendall(data)

    dialled, _ = both(dials(credentials[1], 1, 0), echo)
    assert isinstance(dialled, IdentityError)
    assert "pinned for rank 0 is" in str(dialled)


def test_a_shown_certificate_without_its_key(credentials):
    """Somebody shows rank 1's certificate, but has only rank 2's key."""
    thief = trusting(credentials[2], credentials[1].certificate)
    dialled, accepted = both(dials(thief, 1, 0), accepts(credentials[0], 0))
    assert isinstance(accepted, IdentityError)
    assert accepted.rank == 1
    assert isinstance(dialled, JointfitError | OSError)
    thief = trusting(credentials[2], credentials[0].certificate)
    dialled, accepted = both(dials(credentials[1], 1, 0), accepts(thief, 0))
    assert isinstance(dialled, IdentityError)
    assert dialled.rank == 0
    assert isinstance(accepted, JointfitError | OSError)


@pytest.mark.parametrize(
    ("begins", "ends", "here", "there"),
    [(-9, -1, "expired on", "has expired by the clock there"), (1, 9, "is valid from", "is not valid yet by the")],
)
def test_dates(begins, ends, here, there, tmp_path):
    good, bad = make_identity("good", tmp_path), dated(tmp_path, "bad", begins, ends)
    pins = (good.fingerprint, bad.fingerprint)
    fresh, stale = (Credentials(each.certificate, each.key, pins) for each in (good, bad))
    dialled, accepted = both(dials(stale, 1, 0), accepts(fresh, 0))
    assert isinstance(dialled, IdentityError)  # it notices itself, and does not even begin
    assert here in str(dialled)
    assert isinstance(accepted, ConnectionError)
    careless = trusting(stale, stale.certificate)
    dialled, accepted = both(dials(careless, 1, 0), accepts(fresh, 0))
    assert isinstance(accepted, IdentityError)
    assert f"the certificate of rank 1 (bad) {here}" in str(accepted)
    assert there in str(dialled)
    dialled, accepted = both(dials(fresh, 0, 1), accepts(careless, 1))
    assert isinstance(dialled, IdentityError)
    assert f"the certificate of rank 1 (bad) {here}" in str(dialled)
    assert there in str(accepted)


def preface(credentials):
    shown = der(credentials)
    return HEADER.pack(b"jointfit", 1, 0, len(shown)) + shown


def after_preface(credentials, wrap):
    """A dialling end that shows a certificate rightly, and then does something else."""

    def act(plain):
        plain.settimeout(5)
        plain.sendall(preface(credentials))
        _, _, verdict, length = HEADER.unpack(plain.recv(HEADER.size, socket.MSG_WAITALL))
        assert verdict == 0
        shown = plain.recv(length, socket.MSG_WAITALL)
        plain.sendall(b"\0")
        return wrap(plain, shown)

    return act


def client(shown, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=shown)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.maximum_version = version
    return context


def test_no_client_certificate(credentials):
    def wrap(plain, shown):
        with client(shown, ssl.TLSVersion.TLSv1_3).wrap_socket(plain) as connection:
            return connection.recv(1)

    dialled, accepted = both(after_preface(credentials[1], wrap), accepts(credentials[0], 0))
    assert isinstance(accepted, IdentityError)
    assert accepted.rank == 1
    assert "CERTIFICATE" in str(accepted)
    assert isinstance(dialled, OSError)


def test_tls_1_2(credentials):
    def wrap(plain, shown):
        context = client(shown, ssl.TLSVersion.TLSv1_2)
        context.load_cert_chain(credentials[1].certificate, credentials[1].key)
        return context.wrap_socket(plain)

    dialled, accepted = both(after_preface(credentials[1], wrap), accepts(credentials[0], 0))
    assert isinstance(accepted, WireError)
    assert "UNSUPPORTED_PROTOCOL" in str(accepted)
    assert isinstance(dialled, OSError)


def test_another_pinned_certificate_inside_tls(credentials):
    """Rank 2 shows rank 1's certificate before TLS, and proves its own inside."""

    def wrap(plain, shown):
        context = client(shown, ssl.TLSVersion.TLSv1_3)
        context.load_cert_chain(credentials[2].certificate, credentials[2].key)
        with context.wrap_socket(plain) as connection:
            return connection.recv(1)

    dialled, accepted = both(after_preface(credentials[1], wrap), accepts(credentials[0], 0))
    assert isinstance(accepted, IdentityError)
    assert isinstance(dialled, OSError)


def test_another_version(credentials):
    def older(plain):
        plain.settimeout(5)
        plain.sendall(HEADER.pack(b"jointfit", 9, 0, 3) + b"abc")
        return plain.recv(100)

    dialled, accepted = both(older, accepts(credentials[0], 0))
    assert isinstance(accepted, DisagreementError)
    assert "version 9 of the handshake; here it is version 1" in str(accepted)
    assert dialled == HEADER.pack(b"jointfit", 1, 5, 0)

    def newer(plain):
        plain.settimeout(5)
        plain.recv(4096)
        plain.sendall(HEADER.pack(b"jointfit", 2, 5, 0))

    dialled, accepted = both(dials(credentials[1], 1, 0), newer)
    assert isinstance(dialled, DisagreementError)
    assert dialled.rank == 0


def test_strangers(credentials):
    """An HTTP client, noise, a length that is too large, a silent one, one that drips, one that leaves."""

    def says(data, pause=0.0):
        def act(plain):
            plain.settimeout(5)
            for part in [data[place : place + 1] for place in range(len(data))] if pause else [data]:
                plain.sendall(part)
                time.sleep(pause)
            if not data or pause:
                return plain.recv(1)
            plain.shutdown(socket.SHUT_WR)
            return plain.recv(100)

        return act

    oversized = HEADER.pack(b"jointfit", 1, 0, LONGEST_CERTIFICATE + 1)
    for data, kind, said in (
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", WireError, "does not speak jointfit's protocol"),
        (os.urandom(1000), WireError, "does not speak jointfit's protocol"),
        (oversized + bytes(9000), WireError, "a certificate of 8193 bytes; want at most 8192"),
        (b"joint", ConnectionError, "closed the connection"),
        (HEADER.pack(b"jointfit", 1, 0, 0), IdentityError, "none of the pinned ones"),
        (HEADER.pack(b"jointfit", 1, 1, 0), WireError, "begins with a refusal"),
        (HEADER.pack(b"jointfit", 1, 77, 0), WireError, "verdict 77; want 0 to 5"),
    ):
        _, accepted = both(says(data), accepts(credentials[0], 0))
        assert isinstance(accepted, kind), (data, accepted)
        assert said in str(accepted)
    for stranger in (says(b""), says(b"joint" * 10, pause=0.05)):
        start = time.monotonic()
        _, accepted = both(stranger, accepts(credentials[0], 0, timeout=0.2))
        assert isinstance(accepted, TimeoutError), accepted
        assert time.monotonic() - start < 3


def fuzz(credentials, data, *, dialled):
    here, there = socket.socketpair()
    with here, there:
        there.sendall(data)
        there.shutdown(socket.SHUT_WR)
        with pytest.raises((JointfitError, ConnectionError)):
            secure(here, credentials, rank=0, peer=1 if dialled else None, dialled=dialled, timeout=5)
        assert here.fileno() < 0


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=64),
    st.binary(max_size=300),
    st.sampled_from([b"jointfit", b"jointfix", b""]),
    st.integers(0, 2),
    st.integers(0, 255),
    st.integers(0, 0xFFFF),
    st.booleans(),
)
def test_any_preface(credentials, head, body, magic, version, verdict, length, dialled):
    fuzz(credentials[0], head, dialled=dialled)
    fuzz(credentials[0], magic + bytes([version, verdict]) + length.to_bytes(2, "big") + body, dialled=dialled)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 600), st.integers(1, 255), st.booleans())
def test_a_changed_byte_of_a_right_preface(credentials, place, change, dialled):
    data = bytearray(preface(credentials[1]) + b"\0")
    data[place % (len(data) - 1)] ^= change
    fuzz(credentials[0], bytes(data), dialled=dialled)
