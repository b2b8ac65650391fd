"""Sound and pictures of a file in the order of their times."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk, VideoFrame

MOST_SOUND = 600.0
"""Seconds of sound that may wait for an earlier picture: 38 MB."""
MOST_PICTURES = 8
"""Sampled pictures that may wait for earlier sound."""
MOST_BETWEEN = 64
"""Pictures between those that may wait; beyond, the oldest is left out."""


def in_order_of_time(
    events: Iterator[AudioChunk | VideoFrame],
) -> Iterator[AudioChunk | VideoFrame]:
    """Yield the sound and pictures of a file that holds both in the order of their times.

    A decoder gives a picture out only after some more, as many as it has threads and as pictures
    refer forwards: of a slide show of one picture in ten seconds, minutes of sound later. Who reads
    on would have given up on it.

    Args:
        events: each kind in order of time.
    """
    sound: deque[AudioChunk] = deque()
    pictures: deque[VideoFrame] = deque()
    samples = sampled = 0
    for event in events:
        if isinstance(event, VideoFrame):
            pictures.append(event)
            sampled += not event.between
            if len(pictures) - sampled > MOST_BETWEEN:
                del pictures[next(i for i, picture in enumerate(pictures) if picture.between)]
        else:
            sound.append(event)
            samples += len(event.samples)
        while (sound and pictures) or sampled > MOST_PICTURES or _is_long(samples):
            if not sound or (pictures and pictures[0].time <= sound[0].start):
                sampled -= not pictures[0].between
                yield pictures.popleft()
            else:
                samples -= len(sound[0].samples)
                yield sound.popleft()
    yield from pictures
    yield from sound


def _is_long(samples: int) -> bool:
    return samples > MOST_SOUND * SAMPLE_RATE
