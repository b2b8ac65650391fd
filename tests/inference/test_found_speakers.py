"""How found speakers divide and label utterances, and how captions name them."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from avt_memocmt.config import MODALITIES
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.inference.found_speakers import HeardSpeakers, speakers_of
from avt_memocmt.inference.results import ModalityUse, Speaker, UtterancePrediction
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.audio_preprocess_vad import Segment
from avt_memocmt.preprocessing.transcripts import Cue
from avt_memocmt.speakers.diarization import Diarization
from avt_memocmt.speakers.turns import SpeakerTurn

TWO = Diarization(
    (SpeakerTurn(0.0, 2.0, 0), SpeakerTurn(2.0, 5.0, 1), SpeakerTurn(6.0, 8.0, 0)),
)
NOTHING = {name: ModalityUse(False, 0.0) for name in MODALITIES}
EVENLY = (1 / NUM_EMOTIONS,) * NUM_EMOTIONS


def sound(start: float, end: float) -> Segment:
    """Samples that tell their own time."""
    count = round((end - start) * SAMPLE_RATE)
    times = start + np.arange(count, dtype=np.float32) / SAMPLE_RATE
    return Segment(start, end, times, True)


def prediction(start: float, end: float, speaker: str | None, face: str | None = None):
    parts = speaker, "", "none", EVENLY, NOTHING
    return UtterancePrediction(start, end, *parts, face=face)


def test_an_utterance_is_cut_where_its_speaker_changes() -> None:
    parts = HeardSpeakers(TWO).divide(sound(0.5, 4.5))
    assert [(part.start, part.end, who) for part, who in parts] == [
        (0.5, 2.0, "S1"),
        (2.0, 4.5, "S2"),
    ]
    whole = np.concatenate([part.samples for part, _ in parts])
    np.testing.assert_array_equal(whole, sound(0.5, 4.5).samples)
    for part, _ in parts:
        assert part.samples[0] == pytest.approx(part.start)


def test_a_stretch_in_which_nobody_is_known_has_no_speaker() -> None:
    ((part, who),) = HeardSpeakers(TWO).divide(sound(9.0, 10.0))
    assert (part.start, part.end, who) == (9.0, 10.0, None)


def test_captions_name_the_voices() -> None:
    cues = [
        Cue("Hello.", 0.0, 2.0, "Anna"),
        Cue("Who is there?", 2.0, 3.0, None),
        Cue("Anna again.", 6.0, 8.0, None),
    ]
    heard = HeardSpeakers(TWO, cues)
    assert [cue.speaker for cue in heard.fill(cues)] == ["Anna", "S2", "Anna"]
    assert [who for _, who in heard.divide(sound(0.0, 5.0))] == ["Anna", "S2"]


def test_captions_that_disagree_about_a_voice_do_not_name_it() -> None:
    cues = [Cue("One.", 0.0, 2.0, "Anna"), Cue("Two.", 6.0, 8.0, "Eva")]
    heard = HeardSpeakers(TWO, cues)
    assert [cue.speaker for cue in heard.fill(cues)] == ["Anna", "Eva"]
    assert heard.of_caption(sound(6.0, 8.0)) == "S1"


def test_speakers_are_listed_in_the_order_of_appearance() -> None:
    turns = [
        prediction(0.0, 2.0, "S2", "F1"),
        prediction(2.0, 3.0, "Anna"),
        prediction(3.0, 4.0, None, "F2"),
        prediction(4.0, 7.0, "S2", "F2"),
    ]
    assert speakers_of(turns, [Cue("Yes.", 2.0, 3.0, "Anna")], {"S2": "Eva"}) == (
        Speaker("S2", "Eva", 5.0, "F2"),
        Speaker("Anna", "Anna", 1.0, None),
    )


def test_a_name_for_nobody_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        speakers_of([prediction(0.0, 1.0, "S1")], None, {"S7": "Eva"})
    assert "nobody here is S7" in caplog.text
