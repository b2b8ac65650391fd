"""When each word of a known transcript is said: CTC forced alignment (Graves et al. 2006)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.as_program import run_command
from avt_memocmt.errors import AvtError
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.acoustic_models import (
    FRAME,
    AcousticModel,
    CharacterModel,
    PhonemeModel,
)
from avt_memocmt.preprocessing.ctc import MAX_CELLS, ctc_forced_align, frames_needed
from avt_memocmt.preprocessing.text_preprocess import split_words, spoken_words

PAPER_MODEL = "facebook/wav2vec2-base-960h"
PAPER_REVISION = "22aad52d435eb6dbaf354bdad9b0da84ce7d6156"

MISMATCH_LOG_SCORE = -3.5
"""Mean log score of a transcript below which its words are not those that are said.

On 231 GRID, TESS and RAVDESS clips none was below with its own words, also at 10 and 5 dB of white
noise (61 clips); one in 231 was above with a random line of MELD of as many words.
"""

_WINDOW, _MARGIN = 1000, 100  # frames: 20 s at a time, of which 2 s at each inner edge are dropped
# A CTC model marks a sound by a spike inside it, so a word begins before its first spike and ends
# after its last. Set on spliced RAVDESS and TESS clips: the median error at 200 known bounds is
# 61 ms with the packaged model, about twice that without widening.
_ATTACK, _RELEASE = 0.10, 0.12  # seconds


@dataclass(frozen=True)
class WordSpan:
    """A word and when it is said.

    Attributes:
        word: as `split_words` gives it.
        start: seconds from the first sample.
        end: the same.
        score: how well the sound fits, in [0, 1]: the geometric mean of the posteriors that the
            model gives the word's tokens in their frames; 0 for a word that it has no token for,
            whose times are interpolated.
    """

    word: str
    start: float
    end: float
    score: float


def make_aligner(name: str = "embedded") -> Aligner:
    """The aligner of a preset ("embedded", "paper"), or a Wav2Vec2 CTC model by hub id or folder.

    Raises:
        AvtError: its weights are not there.
    """
    if name == "embedded":
        return Aligner(PhonemeModel())
    if name == "paper":
        return Aligner(CharacterModel(PAPER_MODEL, PAPER_REVISION))
    return Aligner(CharacterModel(name))


def mismatch(words: Sequence[WordSpan]) -> bool:
    """Whether aligned words are probably not what is said: their mean log score is very low.

    False where no word has a score. The threshold is measured on the packaged model.
    """
    scores = [math.log(word.score) for word in words if word.score > 0]
    return bool(scores) and sum(scores) / len(scores) < MISMATCH_LOG_SCORE


class Aligner:
    """Finds the words of a transcript in its recording, by the frame posteriors of a CTC model.

    The token between words, if the model has one, counts as blank, for models do not always emit
    it.
    """

    def __init__(self, model: AcousticModel) -> None:
        self._model = model

    def align(self, samples: NDArray[np.float32], text: str) -> list[WordSpan]:
        """Return the times of each word.

        Args:
            samples: float32 [n], mono, `SAMPLE_RATE`.
            text: clean text of all that is said in them.

        Returns:
            One span per word of `split_words(text)`, in order and without overlap.

        Raises:
            AvtError: there is no sound, the sound is too short for that many words, or sound and
                text together are too long to be aligned in one piece.
        """
        words = split_words(text)
        if not words:
            return []
        if len(samples) == 0:
            raise AvtError("there is no sound to align the transcript with.")
        targets = [[t for part in spoken_words(w) for t in self._model.tokens(part)] for w in words]
        spikes = self._spikes(self._emissions(samples), targets)
        times = _fill_gaps(spikes, len(words), len(samples) / SAMPLE_RATE)
        scores = {index: score for index, _, _, score in spikes}
        return [
            WordSpan(word, start, end, scores.get(index, 0.0))
            for index, (word, (start, end)) in enumerate(zip(words, times, strict=True))
        ]

    def _emissions(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log posteriors of a sound of any length, a window at a time."""
        step = (_WINDOW - 2 * _MARGIN) * FRAME
        parts = []
        for begin in range(0, max(1, len(samples) - 2 * _MARGIN * FRAME), step):
            window = samples[begin : begin + _WINDOW * FRAME]
            is_last = begin + _WINDOW * FRAME >= len(samples)
            kept = slice(_MARGIN if begin else 0, None if is_last else _WINDOW - _MARGIN)
            parts.append(self._model.log_posteriors(window)[kept])
        emissions = np.concatenate(parts)
        blank, boundary = self._model.blank, self._model.boundary
        if boundary is not None:
            emissions[:, blank] = np.logaddexp(emissions[:, blank], emissions[:, boundary])
        return emissions

    def _spikes(
        self, emissions: NDArray[np.float32], targets: list[list[int]]
    ) -> list[tuple[int, float, float, float]]:
        """Index, start of the first spike, end of the last and score of each word with tokens."""
        tokens = [token for word in targets for token in word]
        _check_lengths(len(emissions), tokens)
        spans, _ = ctc_forced_align(emissions, tokens, self._model.blank)
        found = []
        first = 0
        for index, word in enumerate(targets):
            own = spans[first : first + len(word)]
            first += len(word)
            if own:
                logs = [emissions[a:b, t].mean() for (a, b), t in zip(own, word, strict=True)]
                start, end = (frame * FRAME / SAMPLE_RATE for frame in (own[0][0], own[-1][1]))
                found.append((index, start, end, math.exp(min(0.0, float(np.mean(logs))))))
        return found


def _check_lengths(frames: int, tokens: Sequence[int]) -> None:
    if frames < frames_needed(tokens):
        raise AvtError(
            f"the transcript has more words than {frames * FRAME / SAMPLE_RATE:.1f} s of sound "
            "can hold; check that it belongs to this recording."
        )
    if frames * (2 * len(tokens) + 1) > MAX_CELLS:
        raise AvtError(
            "sound and transcript are too long to be aligned in one piece; give a transcript with "
            "times (.srt or .vtt), or shorter recordings."
        )


def _fill_gaps(
    spikes: list[tuple[int, float, float, float]], count: int, duration: float
) -> list[tuple[float, float]]:
    """Times of all words: those found are widened, those between share what is left evenly."""
    times: list[tuple[float, float]] = []
    for position, (index, start, end, _) in enumerate(spikes):
        before = spikes[position - 1][2] if position else -math.inf
        after = spikes[position + 1][1] if position + 1 < len(spikes) else math.inf
        start = max(0.0, start - min(_ATTACK, (start - before) / 2))
        end = min(duration, end + min(_RELEASE, (after - end) / 2))
        times += _spread(times[-1][1] if times else 0.0, start, index - len(times))
        times.append((start, end))
    return times + _spread(times[-1][1] if times else 0.0, duration, count - len(times))


def _spread(start: float, end: float, count: int) -> list[tuple[float, float]]:
    """`count` equal parts of a stretch of time."""
    return list(pairwise(np.linspace(start, end, count + 1).tolist())) if count else []


if __name__ == "__main__":
    run_command("preprocess", "align")
