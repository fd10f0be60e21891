"""Frames: what was written whole is read, and nothing else is ever taken for a record."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.wal.frames import FRAME_BYTES_MAX, frame, payloads

some_payloads = st.lists(st.binary(max_size=40), max_size=6)


def read(content: bytes) -> list[bytes]:
    return [payload for _, payload in payloads(content)]


@given(some_payloads)
def test_what_is_written_is_read(written):
    content = b"".join(map(frame, written))
    assert written == read(content)
    assert [len(content)] * bool(written) == [end for end, _ in payloads(content)][-1:]


@given(some_payloads, st.data())
def test_a_cut_anywhere_leaves_the_frames_before_it(written, data):
    """A process that dies while it writes: the whole frames are read, the torn one is not."""
    frames = [frame(payload) for payload in written]
    content = b"".join(frames)
    cut = data.draw(st.integers(0, len(content)))
    whole, end = 0, 0
    while whole < len(frames) and end + len(frames[whole]) <= cut:
        end += len(frames[whole])
        whole += 1

    assert written[:whole] == read(content[:cut])


@given(some_payloads.filter(bool), st.data())
def test_a_flipped_bit_ends_the_reading_at_its_frame(written, data):
    """Damage anywhere, a frame's own length included: nothing wrong is ever read."""
    frames = [frame(payload) for payload in written]
    content = bytearray(b"".join(frames))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    damaged, end = 0, len(frames[0])
    while end <= at:
        damaged += 1
        end += len(frames[damaged])

    assert written[:damaged] == read(bytes(content))


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(content):
    """No garbage raises, or makes a reader allocate what it claims to be long."""
    assert all(len(payload) <= FRAME_BYTES_MAX for payload in read(content))
