"""Who speaks when, in made dialogues, in a meeting, and in sound that is no talk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from avt_memocmt.errors import AvtError
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk
from avt_memocmt.speakers.diarizer import Diarizer
from avt_memocmt.speakers.installed import speakers_installed

if not speakers_installed():
    pytest.skip("install the extra 'speakers' to run this test", allow_module_level=True)
pytest.importorskip("pyannote.metrics", reason="install the extra 'speakers' to run this test")

from make_dialogues import clips_of, make_dialogue

from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.speakers.diarization import Diarization
from avt_memocmt.speakers.error_rate import Reference, error_rate
from avt_memocmt.speakers.rttm import NamedTurn


@pytest.fixture(scope="module")
def diarizer() -> Diarizer:
    return Diarizer()


def chunks(samples: np.ndarray, size: int = 4096) -> Iterator[AudioChunk]:
    for at in range(0, len(samples), size):
        yield AudioChunk(at / SAMPLE_RATE, samples[at : at + size])


def named(found: Diarization) -> list[NamedTurn]:
    return [NamedTurn(turn.start, turn.end, str(turn.speaker)) for turn in found.turns]


def test_a_dialogue_across_emotions(diarizer: Diarizer, data_dir: Path) -> None:
    clips = clips_of(data_dir, "nemo")
    sexes = {clip.sex: clip.speaker for clip in clips}
    sound, turns = make_dialogue(clips, [sexes["F"], sexes["M"]], np.random.default_rng(3))
    sound = sound[: 40 * SAMPLE_RATE]
    found = diarizer.diarize(chunks(sound))
    truth = [NamedTurn(turn.start, turn.end, name) for turn, name in turns]
    span = [(0.0, len(sound) / SAMPLE_RATE)]
    assert error_rate(truth, named(found), span, collar=0.0).rate < 0.2
    assert found.speakers == (0, 1)
    assert list(found.turns) == sorted(found.turns, key=lambda turn: turn.start)
    pieces = found.split(0.0, 40.0)
    assert (pieces[0][0], pieces[-1][1]) == (0.0, 40.0)
    assert {who for _, _, who in pieces} >= {0, 1}


def test_a_meeting(diarizer: Diarizer, data_dir: Path) -> None:
    folder = data_dir / "speech" / "ami"
    found = diarizer.diarize(chunks(load_audio(folder / "trn06.flac")))
    score = Reference(folder / "train.rttm", folder / "train.uem").score("trn06", named(found))
    assert score.strict.rate < 0.35
    assert score.lenient.rate < score.strict.rate


def test_nobody_speaks_in_silence_and_nothing_breaks_on_a_click(diarizer: Diarizer) -> None:
    assert diarizer.diarize([]).turns == ()
    silence = diarizer.diarize(chunks(np.zeros(3 * SAMPLE_RATE, np.float32)))
    assert silence.turns == ()
    assert silence.split(0.0, 3.0) == [(0.0, 3.0, None)]
    click = np.random.default_rng(0).normal(size=SAMPLE_RATE // 5).astype(np.float32)
    assert len(diarizer.diarize(chunks(click)).speakers) <= 1


def test_numbers_that_contradict_one_another_are_refused(diarizer: Diarizer) -> None:
    for count, least, most in ((0, 1, 20), (None, 3, 2), (None, 0, 5)):
        with pytest.raises(AvtError, match="cannot be found"):
            diarizer.diarize([], count, least, most)
