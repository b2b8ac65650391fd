"""Loading, trimming, measuring and saving waveforms."""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.as_program import run_command
from avt_memocmt.errors import AvtError
from avt_memocmt.files import write_atomically
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk

_TRIM_FRAME = SAMPLE_RATE // 50  # 20 ms, the usual frame of short-time speech energy


def load_audio(
    path: str | Path, start: float = 0.0, end: float | None = None
) -> NDArray[np.float32]:
    """Read the sound of a media file between two times.

    Args:
        path: any file with a sound track.
        start: seconds from the start of the media, where the first returned sample lies.
        end: seconds; None reads to the end. A file that ends earlier gives fewer samples.

    Returns:
        float32 [n], mono, `SAMPLE_RATE`; stretches that the file has no sound for are zero.

    Raises:
        AvtError: the file cannot be decoded, has no sound, or has none between these times, or they
            are no span.
    """
    last = math.inf if end is None else end
    with MediaReader(path, only="audio", start=start, end=last) as reader:
        chunks = [event for event in reader.events() if isinstance(event, AudioChunk)]
    if not chunks:
        raise AvtError(f"{path} has no sound between {start:g} and {last:g} s; check the times.")
    return join_chunks(chunks, start, min(last, chunks[-1].end))


def join_chunks(chunks: Sequence[AudioChunk], start: float, end: float) -> NDArray[np.float32]:
    """The sound between two times, seconds, as one waveform float32 [n]; holes are zero."""
    joined = np.zeros(round((end - start) * SAMPLE_RATE), dtype=np.float32)
    for chunk in chunks:
        at = round((chunk.start - start) * SAMPLE_RATE)
        samples = chunk.samples[max(0, -at) : len(joined) - at]
        joined[max(0, at) : max(0, at) + len(samples)] = samples
    return joined


def trim_silence(
    samples: NDArray[np.float32], threshold_db: float = 40.0
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Cut leading and trailing silence.

    A 20 ms frame is silent if its RMS lies more than `threshold_db` below the loudest frame's.

    Returns:
        The kept samples (a view) and the kept span (start, end) in seconds; a clip that is
        digital silence throughout is returned whole.
    """
    whole = (0.0, len(samples) / SAMPLE_RATE)
    if not samples.any():
        return samples, whole
    starts = np.arange(0, len(samples), _TRIM_FRAME)
    lengths = np.diff(np.append(starts, len(samples)))
    power = np.add.reduceat(samples.astype(np.float64) ** 2, starts) / lengths
    kept = np.flatnonzero(power >= power.max() * 10 ** (-threshold_db / 10))
    first, last = int(starts[kept[0]]), int(starts[kept[-1]] + lengths[kept[-1]])
    return samples[first:last], (first / SAMPLE_RATE, last / SAMPLE_RATE)


def peak_dbfs(samples: NDArray[np.float32]) -> float:
    """Largest magnitude in dB relative to full scale; minus infinity for digital silence."""
    peak = float(np.abs(samples).max(initial=0.0))
    return 20 * math.log10(peak) if peak > 0 else -math.inf


def save_wav(path: str | Path, samples: NDArray[np.float32]) -> None:
    """Write float32 [n] as a 16-bit mono WAV; the file appears whole or not at all.

    Raises:
        AvtError: the folder is missing or cannot be written.
    """
    integers = np.round(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2")
    data = io.BytesIO()
    with wave.open(data, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SAMPLE_RATE)
        sound.writeframes(integers.tobytes())
    write_atomically(Path(path), data.getvalue())


if __name__ == "__main__":
    run_command("preprocess", "audio")
