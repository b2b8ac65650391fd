"""Whether clips can be used: each is opened, and its first sound and picture decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from avt_memocmt.errors import AvtError
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import AudioChunk, VideoFrame
from avt_memocmt.workers import worker_pool

_CHUNK = 32  # clips handed to a worker at once
_PICTURE_SIDE = 64  # pixels; the picture itself is not used

Progress = Callable[[int, int], None]
"""Called with the clips done and all clips."""


@dataclass(frozen=True)
class ClipProbe:
    """What the start of a clip shows.

    Attributes:
        duration: seconds that its header states, or None.
        has_sound: whether sound in it can be decoded.
        has_pictures: whether a picture in it can be decoded.
        refusal: why it cannot be decoded at all, or None.
    """

    duration: float | None = None
    has_sound: bool = False
    has_pictures: bool = False
    refusal: str | None = None


def probe_clip(path: Path) -> ClipProbe:
    """Open a clip and decode up to its first sound and first picture.

    A clip counts as undecodable if its container cannot be opened or nothing in it decodes. Damage
    further in is not looked for: reading 13,000 clips to their end takes hours, and `extract` finds
    it anyway.
    """
    try:
        with MediaReader(path, max_side=_PICTURE_SIDE) as reader:
            kinds = set[type]()
            for event in reader.events():
                kinds.add(type(event))
                if len(kinds) == 2:
                    break
            return ClipProbe(reader.info.duration, AudioChunk in kinds, VideoFrame in kinds)
    except AvtError as error:
        return ClipProbe(refusal=str(error).removeprefix(f"{path} "))


def probe_clips(
    paths: Sequence[Path], workers: int = 1, progress: Progress | None = None
) -> list[ClipProbe]:
    """Probe clips in a process pool; small jobs and `workers=1` run in this process.

    Raises:
        AvtError: a worker died, as by a lack of memory.
    """
    probes: list[ClipProbe] = []
    for probe in _probes(paths, min(workers, len(paths) // _CHUNK)):
        probes.append(probe)
        if progress is not None:
            progress(len(probes), len(paths))
    return probes


def _probes(paths: Sequence[Path], workers: int) -> Iterator[ClipProbe]:
    if workers <= 1:
        yield from map(probe_clip, paths)
        return
    with worker_pool(workers, run_networks=False) as pool:
        yield from pool.map(probe_clip, paths, chunksize=_CHUNK)
