import pytest
from hypothesis import given
from hypothesis import strategies as st

from parties.errors import DeadlineError, DisagreementError, PeerFailed, PeerLost, WireError
from parties.frames import HEADER_SIZE, MAX_PAYLOAD, Failure, FrameType, Header, advance

headers = st.builds(
    Header,
    type=st.sampled_from(FrameType),
    sequence=st.integers(0, 2**64 - 1),
    length=st.integers(0, MAX_PAYLOAD),
    session=st.binary(min_size=16, max_size=16),
    digest=st.binary(min_size=8, max_size=8),
    label=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=32).map(str.encode),
)


@given(headers)
def test_round_trip(header):
    data = header.pack()
    assert len(data) == HEADER_SIZE == 80
    assert Header.parse(data) == header


def test_layout_is_fixed():
    header = Header(FrameType.STREAM, 5, 6, bytes(range(16)), b"digested", b"open x")
    assert header.pack().hex() == (
        "4a464954 01 02 0000 0000000000000005 0000000000000006 000102030405060708090a0b0c0d0e0f".replace(" ", "")
        + b"digested".hex()
        + b"open x".ljust(32, b"\0").hex()
    )


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_parsed(data):
    try:
        header = Header.parse(data)
    except WireError:
        return
    assert header.pack() == data


@given(headers, st.integers(0, HEADER_SIZE - 1), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_seen(header, place, value):
    data = bytearray(header.pack())
    data[place] = value
    try:
        parsed = Header.parse(data)
    except WireError:
        return
    assert (parsed == header) == (bytes(data) == header.pack())


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [(0, 1, "magic"), (4, 9, "version 9; want 1"), (5, 0, "frame type 0"), (6, 1, "flags"), (16, 1, "payload of"),
     (48, 7, "label")],
)
def test_each_field_is_checked(place, value, said):
    data = bytearray(Header(FrameType.SETUP, 0, 0, bytes(16), bytes(8), b"x").pack())
    data[place] = value
    with pytest.raises(WireError, match=said):
        Header.parse(data)


@given(st.integers(0, 6), st.text(max_size=300), st.text(max_size=5000))
def test_notices_travel(origin, kind, message):
    failure = Failure.parse(Failure(origin, kind, message).pack(), 7)
    assert failure.origin == origin
    assert failure.error().relayed


@given(st.binary(max_size=100))
def test_random_notices_are_refused(data):
    with pytest.raises(WireError):
        Failure.parse(data, 3)


def test_a_notice_of_a_rank_that_is_not_there_is_refused():
    with pytest.raises(WireError, match="malformed"):
        Failure.parse(Failure(3, "KeyError", "").pack(), 3)


def test_what_peers_are_told():
    assert Failure.of(KeyError("patient 7"), 1) == (1, "KeyError", "")
    assert Failure.of(WireError("bad"), 1) == (1, "WireError", "bad")
    assert Failure.of(PeerFailed(2, "KeyError"), 1) == (2, "KeyError", "")
    lost = Failure.of(PeerLost(2, "killed"), 1).error()
    assert isinstance(lost, PeerLost)
    assert (lost.rank, lost.reason) == (2, "killed")
    assert isinstance(Failure.of(DisagreementError("x"), 1).error(), DisagreementError)
    assert isinstance(Failure.of(DeadlineError("x"), 1).error(), DeadlineError)


@given(st.text(max_size=40), st.text(max_size=40), st.integers(-1, 99), st.integers(-1, 99))
def test_digests_depend_on_label_sizes_and_direction(one, other, up, down):
    assert (advance(bytes(8), one, up, down) == advance(bytes(8), other, up, down)) == (one == other)
    assert (advance(bytes(8), one, up, down) == advance(bytes(8), one, down, up)) == (up == down)
