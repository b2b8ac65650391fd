"""A recording that is read while it is pushed, as a browser makes it."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from footage import Spoken
from recorder import record

from avt_memocmt.errors import AvtError
from avt_memocmt.media.backlog import Event
from avt_memocmt.media.pushed_source import MOST_WAITING, ByteFeed, PushedSource
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import AudioChunk, VideoFrame

MIME = "video/webm;codecs=vp8,opus"


@pytest.fixture(scope="module")
def pieces(talking_clip: Spoken) -> list[bytes]:
    return [piece for _, piece in record(talking_clip.path)]


def events_of(feed: ByteFeed) -> tuple[PushedSource, list[Event]]:
    source = PushedSource(feed, MIME, 4.0)
    return source, list(source._events())


def test_what_is_pushed_is_what_a_file_of_it_holds(pieces: list[bytes], tmp_path) -> None:
    feed = ByteFeed()
    writer = threading.Thread(target=lambda: [feed.write(piece) for piece in pieces] + [feed.end()])
    writer.start()
    source, found = events_of(feed)
    writer.join(60)
    assert not writer.is_alive()
    assert (source.has_audio, source.has_video) == (True, True)
    path = tmp_path / "whole.webm"
    path.write_bytes(b"".join(pieces))
    with MediaReader(path, 4.0) as reader:
        expected = list(reader.events())
    for kind in (VideoFrame, AudioChunk):
        ours, theirs = ([e for e in x if isinstance(e, kind)] for x in (found, expected))
        np.testing.assert_allclose([e.end for e in ours], [e.end for e in theirs], atol=0.02)
    assert source.arrival(1.0) is not None
    assert source.arrival(999.0) is None


def test_the_times_of_another_recording_go_on(pieces: list[bytes]) -> None:
    feed = ByteFeed()
    for _ in range(2):
        for piece in pieces:
            feed.write(piece)
        feed.restart()
    feed.end()
    _, found = events_of(feed)
    sound = [event for event in found if isinstance(event, AudioChunk)]
    half = len(sound) // 2
    assert sound[half].start >= sound[half - 1].end - 1e-6
    assert sound[-1].end >= 2 * sound[half - 1].end - 0.1
    assert all(a.start <= b.start for a, b in itertools.pairwise(sound))


def test_who_writes_too_fast_waits() -> None:
    feed = ByteFeed()
    feed.write(bytes(MOST_WAITING))
    feed.write(b"x")  # the last that fits
    writer = threading.Thread(target=feed.write, args=(b"y",), daemon=True)
    writer.start()
    writer.join(0.2)
    assert writer.is_alive()
    while feed.read(1_000_000) != b"x":
        pass
    writer.join(10)
    assert not writer.is_alive()
    assert feed.read(10) == b"y"


@pytest.mark.parametrize(("mime", "why"), [("text/html", "browsers"), (MIME, "no recording")])
def test_what_is_no_recording_is_refused(mime: str, why: str) -> None:
    feed = ByteFeed()
    feed.write(b"<html>" * 100)
    feed.end()
    with pytest.raises(AvtError, match=why):
        PushedSource(feed, mime, 4.0)
