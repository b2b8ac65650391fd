"""The speaker of each utterance of a stream, as it ends; later ones may revise it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.speakers.clustering import LEAST_SPEECH, MARGIN, grouped, unit
from avt_memocmt.speakers.embedding import SpeakerEmbedder
from avt_memocmt.speakers.installed import require_speakers

REMEMBERED = 60
"""Utterances whose voices are kept, and whose speaker may still be revised."""
SHORTEST = 0.8
"""Seconds of sound below which nobody is recognised."""
LISTENED = 6.0
"""Seconds of an utterance that are listened to, in its middle."""


@dataclass(frozen=True)
class OnlineLabel:
    """Who speaks in an utterance.

    Attributes:
        utterance: its number, from 0 in the order of the calls.
        speaker: number of the speaker, None where that is uncertain. A number that was given once
            is never given to somebody else.
        revised: earlier utterances whose speaker is now held for another one, with that one.
    """

    utterance: int
    speaker: int | None
    revised: dict[int, int | None]


@dataclass
class _Heard:
    """A remembered utterance."""

    number: int
    voice: NDArray[np.float64]
    seconds: float
    speaker: int | None


class OnlineSpeakers:
    """Recognises the speakers of a stream, with memory bounded for any length.

    Each utterance is grouped anew with the last `REMEMBERED` ones and with the mean voice of every
    speaker of those before. The groups keep the numbers that most of their speech had.

    Args:
        most: speakers that are told apart at most.

    Raises:
        AvtError: the extra `speakers` is not installed, or its weights are altered.
    """

    def __init__(self, most: int = 20) -> None:
        require_speakers()
        self._embedder = SpeakerEmbedder()
        self._most = most
        self._count = 0
        self._next_speaker = 0
        self._recent: list[_Heard] = []
        self._former: dict[int, NDArray[np.float64]] = {}

    def label(self, samples: NDArray[np.float32]) -> OnlineLabel:
        """Say who speaks in the next utterance, and what that changes about earlier ones.

        Args:
            samples: float32 [n], mono, 16 kHz: the utterance.
        """
        number, self._count = self._count, self._count + 1
        seconds = len(samples) / SAMPLE_RATE
        if seconds < SHORTEST or not samples.any():
            return OnlineLabel(number, None, {})
        voice = unit(self._embedder.embed(_middle(samples)))
        return self.label_voice(number, voice, min(seconds, LISTENED))

    def label_voice(self, number: int, voice: NDArray[np.float64], seconds: float) -> OnlineLabel:
        """The same for an embedding of length 1."""
        self._recent.append(_Heard(number, voice, seconds, None))
        before = {heard.number: heard.speaker for heard in self._recent}
        self._regroup()
        now = {heard.number: heard.speaker for heard in self._recent}
        if len(self._recent) > REMEMBERED:
            self._forget(self._recent.pop(0))
        own = now.pop(number)
        revised = {at: who for at, who in now.items() if who != before[at]}
        return OnlineLabel(number, own, revised)

    def _regroup(self) -> None:
        """Group all remembered voices and give each utterance the number of its group."""
        former = list(self._former)
        voices = np.stack(
            [heard.voice for heard in self._recent] + [unit(self._former[who]) for who in former]
        )
        distances = np.maximum(1.0 - voices @ voices.T, 0.0)
        np.fill_diagonal(distances, 0.0)
        labels = grouped(distances, None)
        if labels.max() >= self._most:
            labels = grouped(distances, self._most)
        numbers = self._numbers(labels, former)
        certain = _is_certain(voices, labels, [number is not None for number in numbers])
        for heard, label, is_certain in zip(self._recent, labels, certain, strict=False):
            heard.speaker = numbers[label] if is_certain else None
        self._merge(former, [numbers[label] for label in labels[len(self._recent) :]])

    def _numbers(self, labels: NDArray[np.int64], former: Sequence[int]) -> list[int | None]:
        """The number of each group, None for one with too little speech to be somebody."""
        votes: list[Counter[int]] = [Counter() for _ in range(labels.max() + 1)]
        speech = np.zeros(len(votes))
        for heard, label in zip(self._recent, labels, strict=False):
            speech[label] += heard.seconds
            if heard.speaker is not None:
                votes[label][heard.speaker] += heard.seconds
        for who, label in zip(former, labels[len(self._recent) :], strict=True):
            weight = float(np.linalg.norm(self._former[who]))
            speech[label] += weight
            votes[label][who] += weight
        numbers: list[int | None] = [None] * len(votes)
        ballots = [(-n, who, at) for at, vote in enumerate(votes) for who, n in vote.items()]
        for _, who, at in sorted(ballots):
            if numbers[at] is None and who not in numbers:
                numbers[at] = who
        for at in np.flatnonzero(speech >= LEAST_SPEECH).tolist():
            if numbers[at] is None:
                numbers[at], self._next_speaker = self._next_speaker, self._next_speaker + 1
        return numbers

    def _merge(self, former: Sequence[int], numbers: Sequence[int | None]) -> None:
        """Keep what was heard of each former speaker under the number that he has now."""
        merged: dict[int, NDArray[np.float64]] = {}
        for who, number in zip(former, numbers, strict=True):
            if number is not None:
                merged[number] = merged.get(number, 0.0) + self._former[who]
        self._former = merged

    def _forget(self, heard: _Heard) -> None:
        """Keep of an utterance only what it adds to its speaker's mean voice."""
        if heard.speaker is not None:
            added = heard.voice * heard.seconds
            self._former[heard.speaker] = self._former.get(heard.speaker, 0.0) + added


def _middle(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The `LISTENED` seconds in the middle of an utterance."""
    more = max(0, len(samples) - round(LISTENED * SAMPLE_RATE))
    return samples[more // 2 : len(samples) - (more - more // 2)]


def _is_certain(
    voices: NDArray[np.float64], labels: NDArray[np.int64], is_speaker: Sequence[bool]
) -> NDArray[np.bool_]:
    """Whether each voice is clearly nearest to its own group, of those that are speakers."""
    means = unit(np.stack([voices[labels == at].sum(axis=0) for at in range(len(is_speaker))]))
    similar = voices @ means.T
    every = np.arange(len(voices))
    own = similar[every, labels]
    similar[:, ~np.array(is_speaker)] = -np.inf
    similar[every, labels] = -np.inf
    return own - similar.max(axis=1) >= MARGIN
