"""Listens into a file before it is read: which track is heard, and how loud its samples can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from avt_memocmt.media.audio_converter import AudioConverter
from avt_memocmt.media.container import open_container
from avt_memocmt.media.types import SILENT_DBFS

LISTENED = 300.0
"""Seconds into a file after which a track that was silent so far is held to be silent."""

_AUDIBLE = 10 ** (SILENT_DBFS / 20)
_SAMPLED = 500_000
"""Samples that are not zero from which the full scale of floating-point sound is told."""
_SCALES = tuple(2.0**bits for bits in (15, 23, 31))
_FAR_BEYOND = 64.0
"""Magnitude that no floating-point sound reaches: 36 dB above full scale."""


def audible_track(path: Path, best: AudioStream) -> int:
    """Which stream of a file with several sound tracks to listen to.

    Args:
        path: the file.
        best: the track that FFmpeg holds for the main one.

    Returns:
        The index of the main track, or of the loudest other one where it is silent.
    """
    peaks = {best.index: 0.0}
    with open_container(path) as container:
        tracks = [s for s in container.streams.audio if s.codec_context is not None]
        converters = {track.index: AudioConverter() for track in tracks}
        for frame, index in _frames(container, tracks):
            for chunk in converters[index].push(frame):
                peak = float(abs(chunk.samples).max(initial=0.0))
                peaks[index] = max(peaks.get(index, 0.0), peak)
            if peaks[best.index] > _AUDIBLE or (frame.time or 0.0) > LISTENED:
                break
    if peaks[best.index] > _AUDIBLE or max(peaks.values()) <= _AUDIBLE:
        return best.index
    return max(peaks, key=lambda index: peaks[index])


def full_scale(path: Path, track: AudioStream) -> float:
    """Full scale of the samples of a track: 1, or that of integers stored as floats.

    Some programs write the integers of 16, 24 or 32 bits into a file of floating-point numbers.
    """
    if not track.codec_context.name.startswith("pcm_f"):
        return 1.0
    kept: list[NDArray[np.float64]] = []
    with open_container(path) as container:
        same = [s for s in container.streams.audio if s.index == track.index]
        for frame, _ in _frames(container, same):
            samples = abs(np.nan_to_num(np.asarray(frame.to_ndarray(), np.float64)))
            kept.append(samples[samples > 0])
            if sum(map(len, kept)) > _SAMPLED:
                break
    sizes = np.concatenate(kept) if kept else np.zeros(0)
    if not len(sizes):
        return 1.0
    # Most of what is not zero is at least 1 among integers; damage changes few samples.
    usual, loud = np.percentile(sizes, (25, 99))
    if usual < 1.0 or loud < _FAR_BEYOND:
        return 1.0
    return next((scale for scale in _SCALES if loud <= scale), 1.0)


def _frames(
    container: InputContainer, tracks: list[AudioStream]
) -> Iterator[tuple[AudioFrame, int]]:
    """Decoded sound with the index of its stream, as far as it can be decoded."""
    try:
        for packet in container.demux(tracks):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                if isinstance(frame, AudioFrame):
                    yield frame, packet.stream.index
    except (av.FFmpegError, IndexError):
        return
