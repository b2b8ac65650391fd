"""Speakers of a stream: numbers that stay, revisions, and bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
from voice_factory import directions

from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.speakers.installed import speakers_installed
from avt_memocmt.speakers.online import REMEMBERED, OnlineSpeakers

if not speakers_installed():
    pytest.skip("install the extra 'speakers' to run this test", allow_module_level=True)


@pytest.fixture
def online() -> OnlineSpeakers:
    return OnlineSpeakers()


def noisy(direction: np.ndarray, random: np.random.Generator, noise: float = 0.03) -> np.ndarray:
    voice = direction + noise * random.normal(size=len(direction))
    return voice / np.linalg.norm(voice)


def test_speakers_keep_their_numbers_far_beyond_what_is_remembered(online: OnlineSpeakers) -> None:
    random = np.random.default_rng(0)
    means = directions(3)
    said = [0, 1, 2, *random.integers(3, size=5 * REMEMBERED).tolist()]
    labels = [online.label_voice(at, noisy(means[who], random), 2.0) for at, who in enumerate(said)]
    assert [label.speaker for label in labels] == said
    assert not any(label.revised for label in labels)
    assert len(online._recent) <= REMEMBERED
    assert len(online._former) == 3


def test_two_numbers_become_one_when_a_voice_between_joins_them(online: OnlineSpeakers) -> None:
    a, b = directions(2)
    angles = (0.0, 1.3, 0.65, 0.6, 0.7)  # radians; the first two are at a distance of 0.73
    heard = [np.cos(angle) * a + np.sin(angle) * b for angle in angles]
    first, second, *later = [online.label_voice(at, voice, 3.0) for at, voice in enumerate(heard)]
    assert (first.speaker, second.speaker) == (0, 1)
    final = {0: first.speaker, 1: second.speaker}
    for label in later:
        final.update({**label.revised, label.utterance: label.speaker})
    assert len({who for who in final.values() if who is not None}) == 1
    assert any(1 in label.revised for label in later)


def test_a_short_utterance_or_silence_is_nobody(online: OnlineSpeakers) -> None:
    assert online.label(np.full(SAMPLE_RATE // 2, 0.1, np.float32)).speaker is None
    assert online.label(np.zeros(3 * SAMPLE_RATE, np.float32)).speaker is None
    assert online.label(np.zeros(0, np.float32)).utterance == 2


def test_no_more_speakers_than_allowed() -> None:
    online = OnlineSpeakers(most=4)
    random = np.random.default_rng(0)
    voices = [noisy(mean, random) for mean in np.tile(directions(12), (10, 1))]
    for at, voice in enumerate(voices):
        online.label_voice(at, voice, 2.0)
    assert len({heard.speaker for heard in online._recent} - {None}) <= 4
    assert len(online._former) <= 4
