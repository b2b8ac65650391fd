"""The causal segmenter: what counts as speech, where it is cut, and when that is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from media_factory import speech_like

from avt_memocmt.config import SegmentationConfig
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk
from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.preprocessing.audio_preprocess_vad import (
    FRAME,
    CausalSegmenter,
    Segment,
    speech_segments,
)

CONFIG = SegmentationConfig()


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def speech_spans(segments: list[Segment]) -> list[tuple[float, float]]:
    return [(segment.start, segment.end) for segment in segments if segment.is_speech]


def two_utterances() -> np.ndarray:
    parts = [silence(1), speech_like(1.2), silence(1.5), speech_like(0.8), silence(2)]
    return np.concatenate(parts)


def in_chunks(samples: np.ndarray, lengths: list[int], start: float = 0.0) -> list[AudioChunk]:
    chunks, first = [], 0
    for length in [*lengths, len(samples)]:
        piece = samples[first : first + length]
        chunks.append(AudioChunk(start + first / SAMPLE_RATE, piece))
        first += len(piece)
    return chunks


def run(chunks: list[AudioChunk], config: SegmentationConfig = CONFIG) -> list[Segment]:
    segmenter = CausalSegmenter(config)
    return [s for chunk in chunks for s in segmenter.push(chunk)] + segmenter.flush()


def test_two_utterances_are_found_with_padding():
    segments, warnings = speech_segments(two_utterances(), CONFIG)
    assert warnings == []
    spans = speech_spans(segments)
    assert len(spans) == 2
    assert spans[0] == pytest.approx((0.8, 2.4), abs=0.15)
    assert spans[1] == pytest.approx((3.5, 4.7), abs=0.15)
    assert [s.is_speech for s in segments] == [False, True, False, True, False]


def test_segments_leave_nothing_out():
    samples = two_utterances()
    segments, _ = speech_segments(samples, CONFIG)
    assert np.array_equal(np.concatenate([s.samples for s in segments]), samples)
    assert segments[0].start == 0.0
    assert segments[-1].end == len(samples) / SAMPLE_RATE
    for before, after in pairwise(segments):
        assert before.end == after.start
    for segment in segments:
        assert segment.end - segment.start == pytest.approx(len(segment.samples) / SAMPLE_RATE)


@pytest.mark.parametrize("seed", range(8))
def test_result_does_not_depend_on_chunking(seed):
    samples = two_utterances()
    generator = np.random.default_rng(seed)
    lengths = list(generator.integers(0, [1, 100, 2000, 20_000][seed % 4] + 1, 20_000))
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), len(samples)))]
    expected = run([AudioChunk(3.0, samples)])
    chunked = run(in_chunks(samples, lengths, start=3.0))
    assert len(chunked) == len(expected)
    for one, other in zip(chunked, expected, strict=True):
        assert (one.start, one.end, one.is_speech) == (other.start, other.end, other.is_speech)
        assert np.array_equal(one.samples, other.samples)


def test_segments_are_causal_and_prompt():
    samples = two_utterances()
    segmenter = CausalSegmenter(CONFIG)
    known = {}
    for chunk in in_chunks(samples, [480] * (len(samples) // 480)):
        for segment in segmenter.push(chunk):
            known[segment.start, segment.end] = chunk.end
    # What was returned by a time is what is returned when the recording ends there.
    for (start, end), when in known.items():
        again = CausalSegmenter(CONFIG).push(AudioChunk(0.0, samples[: round(when * SAMPLE_RATE)]))
        assert (start, end) in [(s.start, s.end) for s in again]
    first = speech_spans(speech_segments(samples, CONFIG)[0])[0]
    assert known[first] - 2.2 == pytest.approx(CONFIG.min_silence, abs=0.15)


def test_short_pause_does_not_split_and_long_one_does():
    def spans(pause: float) -> int:
        samples = np.concatenate([speech_like(1), silence(pause), speech_like(1), silence(1)])
        return len(speech_spans(speech_segments(samples, CONFIG)[0]))

    assert spans(0.4) == 1
    assert spans(1.2) == 2


def test_a_pause_is_told_from_the_end_of_loud_sound():
    noise = np.random.default_rng(0).normal(scale=1e-3, size=SAMPLE_RATE).astype(np.float32)
    samples = np.concatenate([speech_like(1.5), noise])
    segmenter, told = CausalSegmenter(CONFIG), {}
    for chunk in in_chunks(samples, [FRAME] * (len(samples) // FRAME)):
        segmenter.push(chunk)
        told[round(chunk.start + FRAME / SAMPLE_RATE, 2)] = segmenter.pending_silence
    assert told[1.5] == 0
    for time in (1.56, 1.62, 1.8):
        assert told[time] == pytest.approx(time - 1.5, abs=0.031)


def test_long_utterance_is_closed_at_the_next_short_pause():
    config = SegmentationConfig(max_utterance=3.0)
    parts = [speech_like(3.3), silence(0.35), speech_like(1.0), silence(1.0)]
    spans = speech_spans(speech_segments(np.concatenate(parts), config)[0])
    assert len(spans) == 2
    assert 3.3 <= spans[0][1] <= 3.65


def test_speech_without_pauses_is_cut_at_one_and_a_half_times_the_limit():
    config = SegmentationConfig(max_utterance=2.0)
    spans = speech_spans(speech_segments(speech_like(10.0), config)[0])
    lengths = [end - start for start, end in spans]
    assert max(lengths) <= 3.0 + 1e-9
    assert lengths[:3] == pytest.approx([3.0] * 3, abs=0.031)
    assert spans[0][1] == spans[1][0]


def test_quiet_is_cut_at_the_limit_and_memory_stays_bounded():
    config = SegmentationConfig(max_utterance=2.0)
    segmenter = CausalSegmenter(config)
    segments = []
    for second in range(30):
        segments += segmenter.push(AudioChunk(float(second), silence(1)))
        held = second + 1 - sum(s.end - s.start for s in segments)
        assert held <= 1.5 * config.max_utterance + 1
    lengths = [s.end - s.start for s in segments + segmenter.flush()]
    assert sum(lengths) == pytest.approx(30.0)
    assert max(lengths) <= 2.0


@pytest.mark.parametrize(("hole", "pieces"), [(0.3, 1), (4.0, 2)])
def test_hole_in_the_sound(hole, pieces):
    before, after = speech_like(1), np.concatenate([speech_like(1), silence(1)])
    segments = run([AudioChunk(0.0, before), AudioChunk(1.0 + hole, after)])
    spans = speech_spans(segments)
    assert len(spans) == pieces
    assert spans[0][0] == pytest.approx(0.0, abs=0.1)
    assert spans[-1][1] == pytest.approx(2.2 + hole, abs=0.15)
    sounding = sum(len(s.samples) for s in segments)
    filled = round(hole * SAMPLE_RATE) if pieces == 1 else 0
    assert sounding == len(before) + len(after) + filled


def test_reset_forgets_the_recording():
    segmenter = CausalSegmenter(CONFIG)
    segmenter.push(AudioChunk(0.0, speech_like(1)))
    segmenter.reset()
    assert segmenter.flush() == []
    again = segmenter.push(AudioChunk(0.0, two_utterances())) + segmenter.flush()
    expected, _ = speech_segments(two_utterances(), CONFIG)
    assert speech_spans(again) == speech_spans(expected)


def white_noise(dbfs: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(10 * SAMPLE_RATE)
    return (10 ** (dbfs / 20) * noise).astype(np.float32)


def clicks() -> np.ndarray:
    samples = silence(5)
    samples[::8000] = 0.9
    return samples


@pytest.mark.parametrize(
    "samples",
    [silence(3), silence(0.05), silence(0), white_noise(-50), white_noise(-70), clicks()],
    ids=["silence", "50ms", "nothing", "noise -50", "noise -70", "clicks"],
)
def test_no_speech_gives_the_whole_clip_and_a_warning(samples):
    segments, warnings = speech_segments(samples, CONFIG)
    assert warnings == ["no_speech"]
    assert [(s.start, s.end, s.is_speech) for s in segments] == [
        (0.0, len(samples) / SAMPLE_RATE, False)
    ]
    assert np.array_equal(segments[0].samples, samples)


def test_every_clip_of_one_sentence_is_one_utterance(talking_clips):
    for clip in talking_clips:
        segments, _ = speech_segments(load_audio(clip.path), CONFIG)
        assert len(speech_spans(segments)) == 1, clip.path.name


def test_spoken_sentences_are_nearly_always_one_utterance(corpora, sentences):
    sources = [([sentence.path for sentence in sentences], 0.95)]
    if corpora:
        parts = [("ravdess", 40, 0.95), ("speech/tess", 25, 0.95), ("speech/emovo", 20, 0.85)]
        sources = [
            (sorted((corpora / folder).rglob("*.flac"))[::step], share)
            for folder, step, share in parts
        ]
    for clips, share in sources:
        counts = [len(speech_spans(speech_segments(load_audio(clip), CONFIG)[0])) for clip in clips]
        assert min(counts) >= 1
        assert np.mean(np.array(counts) == 1) >= share, clips[0]
