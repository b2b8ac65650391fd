"""Who speaks: the voices of a media, by which its utterances are divided and labelled."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from avt_memocmt.inference.results import Speaker, UtterancePrediction
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.audio_preprocess_vad import Segment
from avt_memocmt.preprocessing.transcripts import Cue
from avt_memocmt.speakers.turns import speaker_name

if TYPE_CHECKING:
    from avt_memocmt.speakers.diarization import Diarization
    from avt_memocmt.speakers.online import OnlineSpeakers

T = TypeVar("T", bound=Hashable)

_log = logging.getLogger(__name__)

UNCERTAIN = "speaker_uncertain"
MOST_OPEN = 64
"""Utterances of a stream whose speaker may still be revised."""


class SpeakerLabels(Protocol):
    """Says who speaks in a stretch of sound."""

    def divide(self, segment: Segment) -> list[tuple[Segment, str | None]]:
        """Cut speech where its speaker changes; each part has its speaker, None if unsure."""

    def of_caption(self, segment: Segment) -> str | None:
        """Who speaks most in the sound of a caption that names nobody; None if unsure."""


class HeardSpeakers:
    """The voices of a whole recording, heard before it is read.

    A voice that speaks mostly where the captions name one person bears that name; the others are
    "S1", "S2" in the order of appearance.

    Args:
        diarization: of the recording.
        captions: with times, or none.
    """

    def __init__(self, diarization: Diarization, captions: Sequence[Cue] = ()) -> None:
        self._diarization = diarization
        self._names = _caption_names(diarization, captions)

    def fill(self, captions: Sequence[Cue]) -> list[Cue]:
        """The captions, with the speakers of those that name nobody."""
        return [self._filled(cue) for cue in captions]

    def divide(self, segment: Segment) -> list[tuple[Segment, str | None]]:
        """See `SpeakerLabels.divide`."""
        parts: list[tuple[Segment, str | None]] = []
        for start, end, voice in self._diarization.split(segment.start, segment.end):
            first, last = (round((at - segment.start) * SAMPLE_RATE) for at in (start, end))
            samples = segment.samples[first:last]
            parts.append((Segment(start, end, samples, segment.is_speech), self._name(voice)))
        return parts

    def of_caption(self, segment: Segment) -> str | None:
        """See `SpeakerLabels.of_caption`."""
        return self._main(segment.start, segment.end)

    def _filled(self, cue: Cue) -> Cue:
        if cue.speaker or cue.start is None or cue.end is None:
            return cue
        return replace(cue, speaker=self._main(cue.start, cue.end))

    def _main(self, start: float, end: float) -> str | None:
        """Who speaks longest between two times in seconds."""
        pieces = self._diarization.split(start, end)
        return _longest(
            _seconds((self._name(voice), last - first) for first, last, voice in pieces)
        )

    def _name(self, voice: int | None) -> str | None:
        return None if voice is None else self._names.get(voice, speaker_name(voice))


class LiveSpeakers:
    """The voices of a stream, told apart as they are heard, in bounded memory.

    An utterance is not divided: who speaks in it is asked once it is over.

    Args:
        speakers: knows the voices so far.
    """

    def __init__(self, speakers: OnlineSpeakers) -> None:
        self._speakers = speakers
        self._starts: dict[int, float] = {}  # by the number of the utterance that was labelled
        self._revised: list[tuple[float, str | None]] = []

    def divide(self, segment: Segment) -> list[tuple[Segment, str | None]]:
        """See `SpeakerLabels.divide`."""
        return [(segment, self.of_caption(segment))]

    def of_caption(self, segment: Segment) -> str | None:
        """See `SpeakerLabels.of_caption`."""
        found = self._speakers.label(segment.samples)
        self._revised += self._known(found.revised)
        self._starts[found.utterance] = segment.start
        self._starts.pop(found.utterance - MOST_OPEN, None)
        return _name(found.speaker)

    def revisions(self) -> list[tuple[float, str | None]]:
        """Utterances whose speaker has changed since the last call: start in seconds, speaker."""
        found, self._revised = self._revised, []
        return found

    def _known(self, revised: Mapping[int, int | None]) -> Iterator[tuple[float, str | None]]:
        for number, voice in revised.items():
            if number in self._starts:
                yield self._starts[number], _name(voice)


def _name(voice: int | None) -> str | None:
    return None if voice is None else speaker_name(voice)


def _seconds(spans: Iterable[tuple[T, float]]) -> dict[T, float]:
    """The seconds of each, in all."""
    total: dict[T, float] = {}
    for name, seconds in spans:
        total[name] = total.get(name, 0.0) + seconds
    return total


def _longest(seconds: Mapping[T, float]) -> T | None:
    """Who has most seconds; None where there is nobody."""
    return max(seconds, key=seconds.__getitem__, default=None)


def _caption_names(diarization: Diarization, captions: Sequence[Cue]) -> dict[int, str]:
    """Names that captions give to voices."""
    spans: dict[int, list[tuple[str, float]]] = {}
    for cue in captions:
        if not cue.speaker or cue.start is None or cue.end is None:
            continue
        for start, end, voice in diarization.split(cue.start, cue.end):
            if voice is not None:
                spans.setdefault(voice, []).append((cue.speaker, end - start))
    names = {}
    for voice, named in spans.items():
        seconds = _seconds(named)
        name = _longest(seconds)
        if name is not None and seconds[name] > sum(seconds.values()) / 2:
            names[voice] = name
    return names


def speakers_of(
    utterances: Sequence[UtterancePrediction],
    captions: Sequence[Cue] | None,
    names: Mapping[str, str],
) -> tuple[Speaker, ...]:
    """Who was heard, in the order of appearance.

    Args:
        utterances: in time order.
        captions: a speaker whom they name bears that name.
        names: of people, by the id of a speaker; one who is named here bears this name.
    """
    named = {cue.speaker: cue.speaker for cue in captions or () if cue.speaker}
    if unknown := sorted(names.keys() - {utterance.speaker for utterance in utterances}):
        _log.warning("nobody here is %s, so the name given for that is not used.", unknown[0])
    found: dict[str, list[UtterancePrediction]] = {}
    for utterance in utterances:
        if utterance.speaker is not None:
            found.setdefault(utterance.speaker, []).append(utterance)
    return tuple(
        Speaker(
            who,
            names.get(who, named.get(who)),
            sum(utterance.end - utterance.start for utterance in spoken),
            _usual_face(spoken),
        )
        for who, spoken in found.items()
    )


def _usual_face(utterances: Sequence[UtterancePrediction]) -> str | None:
    """The face that was seen longest while somebody spoke."""
    return _longest(_seconds((u.face, u.end - u.start) for u in utterances if u.face is not None))
