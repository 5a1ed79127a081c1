from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ireko.model.framing import STDERR, STDOUT, FrameDecoder, frame

_FRAMES = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=40)), max_size=12)


def joined(pieces: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Neighbours of one stream put together: how a frame was cut does not matter."""
    found: list[tuple[int, bytes]] = []
    for stream, data in pieces:
        if found and found[-1][0] == stream:
            found[-1] = stream, found[-1][1] + data
        elif data:
            found.append((stream, data))
    return found


@given(frames=_FRAMES, cuts=st.lists(st.integers(min_value=0, max_value=600), max_size=20))
def test_what_was_framed_comes_out_however_it_is_cut(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(frame(number, data) for number, data in frames)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    decoder = FrameDecoder()
    found = [piece for start, end in itertools.pairwise(edges) for piece in decoder.feed(stream[start:end])]
    assert joined(found) == joined(frames)
    assert decoder.complete


def test_a_header_is_stream_three_zeros_and_length() -> None:
    assert frame(STDERR, b"abc") == b"\x02\0\0\0\0\0\0\x03abc"


def test_nothing_makes_no_frame() -> None:
    assert frame(STDOUT, b"") == b""


def test_the_middle_of_a_frame_is_no_end() -> None:
    decoder = FrameDecoder()
    assert list(decoder.feed(frame(STDOUT, b"abc")[:-1])) == [(STDOUT, b"ab")]
    assert not decoder.complete


@pytest.mark.parametrize("stream", [b"HTTP/1.1", b"\x01\0\0\x01\0\0\0\0", b"\x03\0\0\0\0\0\0\x01"])
def test_another_stream_is_told_apart(stream: bytes) -> None:
    with pytest.raises(ValueError, match="no frame"):
        list(FrameDecoder().feed(stream))
