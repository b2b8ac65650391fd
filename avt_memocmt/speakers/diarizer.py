"""Finds who speaks when in a whole recording."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.errors import AvtError
from avt_memocmt.media.types import AudioChunk
from avt_memocmt.speakers.clustering import cluster
from avt_memocmt.speakers.diarization import Diarization
from avt_memocmt.speakers.installed import require_speakers
from avt_memocmt.speakers.turns import SpeakerTurn
from avt_memocmt.speakers.voices import Span, Voice, VoiceFinder

SHORTEST_PAUSE = 0.1
"""Seconds; a turn goes on over a pause shorter than this."""


class Diarizer:
    """Says who speaks when; the networks are loaded by the first recording.

    Raises:
        AvtError: the extra `speakers` is not installed.
    """

    def __init__(self) -> None:
        require_speakers()
        self._finder: VoiceFinder | None = None

    def diarize(
        self,
        chunks: Iterable[AudioChunk],
        count: int | None = None,
        least: int = 1,
        most: int = 20,
    ) -> Diarization:
        """Find the turns of a recording's speakers, in memory bounded by the number of its turns.

        Args:
            chunks: the sound in the order of time, read once; holes are silence.
            count: how many speak; None finds it out. Fewer are found where too little is heard.
            least: find at least as many, where as many voices are heard.
            most: find at most as many.

        Raises:
            AvtError: the numbers contradict one another, or packaged weights are missing or
                altered.
        """
        if not 1 <= least <= most or (count is not None and count < 1):
            wanted = f"{least} to {most}" if count is None or count >= 1 else str(count)
            raise AvtError(
                f"{wanted} speakers cannot be found; give at least 1, and no more as the least "
                "number than as the most."
            )
        if self._finder is None:
            self._finder = VoiceFinder()
        voices = sorted(self._finder.find(chunks), key=lambda voice: voice.spans[0][0])
        found = cluster(voices, count, least, most)
        return Diarization(
            _turns(voices, found.labels, np.ones(len(voices), bool)),
            _turns(voices, found.labels, ~found.certain),
        )


def _turns(
    voices: Sequence[Voice], labels: NDArray[np.int64], chosen: NDArray[np.bool_]
) -> tuple[SpeakerTurn, ...]:
    """The chosen voices of each speaker as turns, in the order of their start."""
    spans: defaultdict[int, list[Span]] = defaultdict(list)
    for voice, label, is_chosen in zip(voices, labels.tolist(), chosen, strict=True):
        if is_chosen:
            spans[label] += voice.spans
    turns = [
        SpeakerTurn(start, end, speaker)
        for speaker, parts in spans.items()
        for start, end in _joined(sorted(parts))
    ]
    return tuple(sorted(turns, key=lambda turn: (turn.start, turn.speaker)))


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Spans in order of time, those joined that overlap or have no pause between them."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and start - joined[-1][1] < SHORTEST_PAUSE:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined
