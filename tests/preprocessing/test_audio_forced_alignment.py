import random
from pathlib import Path

import numpy as np
import pytest
from footage import Spoken
from numpy.typing import NDArray

from avt_memocmt.errors import AvtError
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.acoustic_models import FRAME, AcousticModel, PhonemeModel
from avt_memocmt.preprocessing.audio_forced_alignment import (
    Aligner,
    WordSpan,
    make_aligner,
    mismatch,
)
from avt_memocmt.preprocessing.audio_preprocess import load_audio

ALPHABET = "_abcdefghijklmnopqrstuvwxyz|"


class LevelModel(AcousticModel):
    """Hears a letter in each frame: sample value k / 100 is the k-th of `ALPHABET`."""

    blank = 0
    boundary = len(ALPHABET) - 1

    def log_posteriors(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        assert len(samples) <= 30 * SAMPLE_RATE
        heard = np.rint(samples[::FRAME] * 100).astype(int)
        posteriors = np.full((len(heard), len(ALPHABET)), np.log(0.1 / (len(ALPHABET) - 1)))
        posteriors[np.arange(len(heard)), heard] = np.log(0.9)
        return posteriors.astype(np.float32)

    def tokens(self, spoken: str) -> list[int]:
        return [ALPHABET.index(char) for char in spoken.lower() if char in ALPHABET]


def _sound(frames: str) -> NDArray[np.float32]:
    """Sound in which `LevelModel` hears these letters, a frame each."""
    levels = np.array([ALPHABET.index(char) / 100 for char in frames], dtype=np.float32)
    return np.repeat(levels, FRAME)


@pytest.fixture(scope="module")
def packaged() -> Aligner:
    return make_aligner()


def _voiced(path: Path) -> NDArray[np.float32]:
    """A recording from its first to its last 10 ms within 30 dB of its loudest."""
    samples = load_audio(path)
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    level = 10 * np.log10((frames**2).mean(1) + 1e-12)
    loud = np.flatnonzero(level > np.percentile(level, 98) - 30)
    return samples[loud[0] * 160 : (loud[-1] + 1) * 160]


def test_times_of_a_made_up_sound_are_exact() -> None:
    #                 0123456789...            words at frames 10-11, 14, and 40-43
    sound = _sound("_" * 10 + "ab" + "||" + "c" + "_" * 25 + "dd_d" + "_" * 16)
    words = Aligner(LevelModel()).align(sound, "ab c, dd!")
    assert [word.word for word in words] == ["ab", "c,", "dd!"]
    expected = [
        (0.20 - 0.10, 0.24 + 0.02),  # widened by the attack, and by half of the gap of 2 frames
        (0.28 - 0.02, 0.30 + 0.12),
        (0.80 - 0.10, 0.88 + 0.12),
    ]
    times = [(word.start, word.end) for word in words]
    np.testing.assert_allclose(times, expected, atol=1e-6)
    assert [word.score for word in words] == pytest.approx([0.9] * 3, rel=1e-4)


def test_words_without_tokens_share_what_is_left() -> None:
    sound = _sound("_" * 10 + "a" + "_" * 50 + "b" + "_" * 38)
    words = Aligner(LevelModel()).align(sound, "日本 — a 1?! b ...")
    times = [(word.start, word.end) for word in words]
    found_a, found_b = (0.10, 0.34), (1.12, 1.36)
    # "1" is read "one", which this sound does not hold, so only the signs are interpolated here.
    assert words[3].word == "1?!"
    assert 0 < words[3].score < 0.05
    np.testing.assert_allclose(times[:2], [(0.0, 0.05), (0.05, 0.10)], atol=1e-6)
    np.testing.assert_allclose(times[2][0], found_a[0], atol=1e-6)
    np.testing.assert_allclose(times[4][1], found_b[1], atol=1e-6)
    np.testing.assert_allclose(times[5], (1.36, 2.0), atol=1e-6)
    assert [word.score == 0 for word in words] == [True, True, False, False, False, True]
    only_signs = Aligner(LevelModel()).align(sound, "— 日本")
    assert [(word.start, word.end) for word in only_signs] == [(0.0, 1.0), (1.0, 2.0)]
    assert not mismatch(only_signs)


def test_long_sound_goes_through_in_windows() -> None:
    draw = random.Random(0)
    frames, starts, words = "", [], []
    while len(frames) < 65 * 50:
        frames += "_" * draw.randint(15, 40)
        starts.append(len(frames) / 50)
        words.append("".join(draw.sample("bcdfghj", 2)) + draw.choice("aeu"))
        frames += words[-1]
    spans = Aligner(LevelModel()).align(_sound(frames + "_" * 7), " ".join(words))
    found = [span.start + 0.10 for span in spans]
    np.testing.assert_allclose(found, starts, atol=1e-6)
    np.testing.assert_allclose([span.score for span in spans], 0.9, rtol=1e-4)


def test_what_cannot_be_aligned_is_explained() -> None:
    aligner = Aligner(LevelModel())
    assert aligner.align(_sound("abc"), " ") == []
    with pytest.raises(AvtError, match="no sound"):
        aligner.align(np.zeros(0, dtype=np.float32), "word")
    with pytest.raises(AvtError, match=r"more words than 0\.1 s"):
        aligner.align(_sound("abc"), "abcd")
    with pytest.raises(AvtError, match="too long"):
        aligner.align(_sound("_" * 30_000), "abcdefghij " * 1000)


def test_mismatch_is_about_the_mean_log_score() -> None:
    def spans(*scores: float) -> list[WordSpan]:
        return [WordSpan("w", 0.0, 1.0, score) for score in scores]

    assert mismatch(spans(0.02, 0.02))
    assert not mismatch(spans(0.05, 0.05))
    assert not mismatch(spans(0.001, 0.9, 0.9, 0.9))
    assert mismatch(spans(0.02, 0.02, 0.0))  # an interpolated word counts for nothing
    assert not mismatch([])


def test_sentences_are_covered_in_order(packaged: Aligner, talking_clips: list[Spoken]) -> None:
    wrong = []
    for clip in talking_clips[::2]:
        samples = load_audio(clip.path)
        text = clip.sentence
        words = packaged.align(samples, text)
        times = [time for word in words for time in (word.start, word.end)]
        assert [word.word for word in words] == text.split()
        assert times == sorted(times)
        assert 0.0 <= times[0] < 1.5
        assert 1.5 < times[-1] <= len(samples) / SAMPLE_RATE
        assert all(0.05 <= word.end - word.start <= 1.0 for word in words), clip.path.stem
        wrong.append(mismatch(words))
    assert not any(wrong)


def _ten_recordings(
    corpora: Path | None, sentences: list[Spoken], draw: random.Random
) -> list[Spoken]:
    if corpora is None:
        return draw.sample(sentences, 10)
    paths = draw.sample(sorted((corpora / "speech" / "tess").rglob("*.flac")), 5)
    tess = [Spoken(path, f"say the word {path.stem.split('_')[1]}") for path in paths]
    ravdess = draw.sample(sentences, 5)
    return [spoken for pair in zip(tess, ravdess, strict=True) for spoken in pair]


def test_spliced_clips_are_found_at_their_times(
    packaged: Aligner, corpora: Path | None, sentences: list[Spoken]
) -> None:
    draw = random.Random(5)
    pieces, bounds, texts, time = [], [], [], 0.0
    for spoken in _ten_recordings(corpora, sentences, draw):
        silence = np.zeros(round(draw.uniform(0.2, 0.8) * SAMPLE_RATE), dtype=np.float32)
        voiced = _voiced(spoken.path)
        start = time + len(silence) / SAMPLE_RATE
        time = start + len(voiced) / SAMPLE_RATE
        pieces += [silence, voiced]
        bounds.append((start, time))
        texts.append(spoken.sentence)
    samples = np.concatenate(pieces)
    assert len(samples) > 20 * SAMPLE_RATE  # more than one window
    spans = packaged.align(samples, " ".join(texts))
    assert not mismatch(spans)
    errors, inside, first = [], [], 0
    for (start, end), text in zip(bounds, texts, strict=True):
        own = spans[first : first + len(text.split())]
        first += len(own)
        errors += [abs(own[0].start - start), abs(own[-1].end - end)]
        inside += [start <= (word.start + word.end) / 2 <= end for word in own]
    assert first == len(spans)
    assert np.median(errors) < 0.080
    assert np.mean(inside) > 0.98


def test_wrong_transcripts_are_noticed(packaged: Aligner, sentences: list[Spoken]) -> None:
    draw = random.Random(1)
    wrong_texts = ["I really do not know what you mean, Joey.", "We had pizza for lunch today."]
    flagged = {True: 0, False: 0}
    drawn = draw.sample(sentences, 3)
    for spoken in drawn:
        samples = load_audio(spoken.path)
        flagged[True] += mismatch(packaged.align(samples, spoken.words))
        flagged[False] += mismatch(packaged.align(samples, draw.choice(wrong_texts)))
    assert flagged == {True: 0, False: len(drawn)}


def test_presets_name_their_aligner(packaged: Aligner) -> None:
    assert type(make_aligner()._model) is type(packaged._model) is PhonemeModel
    assert isinstance(make_aligner("embedded")._model, PhonemeModel)
