"""Captions against the media they are given for: late, too long, beyond its end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from media_factory import speech_like, write_wav

from avt_memocmt import EmotionRecognizer
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.captions import LONGEST, FittedCaptions
from avt_memocmt.inference.results import StreamEvent, to_json, utterance_json
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk
from avt_memocmt.preprocessing.transcripts import Cue, load_transcript

SECONDS = 4.0
HOUR = 3600.0


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds in which somebody speaks twice."""
    quiet = np.zeros(SAMPLE_RATE, dtype=np.float32)
    sound = np.concatenate([speech_like(1.2), quiet, speech_like(1.0), quiet[:12_800]])
    return write_wav(tmp_path_factory.mktemp("talk") / "talk.wav", sound)


CUES = [Cue("I hate this.", 0.0, 1.2), Cue("Why?", 2.2, 3.2)]


def moved(cues: list[Cue], seconds: float) -> list[Cue]:
    return [Cue(cue.text, cue.start + seconds, cue.end + seconds) for cue in cues]


def streamed(recognizer: EmotionRecognizer, path: Path, cues: list[Cue]) -> list[StreamEvent]:
    return list(recognizer.stream(str(path), captions=cues, hop=0, as_fast_as_possible=True))


@pytest.mark.parametrize(
    ("cues", "expected", "dropped", "shifted"),
    [
        (CUES, [(0.0, 1.2), (2.2, 3.2)], 0, 0.0),
        (moved(CUES, HOUR), [(0.0, 1.2), (2.2, 3.2)], 0, HOUR),
        (moved(CUES, 10 * HOUR), [(0.0, 1.2), (2.2, 3.2)], 0, 10 * HOUR),
        ([*CUES, Cue("Bye.", 4.5, 5)], [(0.0, 1.2), (2.2, 3.2)], 1, 0.0),
        ([CUES[0], Cue("Why?", 2.2, 9.0)], [(0.0, 1.2), (2.2, SECONDS)], 0, 0.0),
        ([CUES[0], Cue("Why?", 2.2, 99 * HOUR)], [(0.0, 1.2), (2.2, SECONDS)], 0, 0.0),
        ([Cue("I hate this.", 0, 99 * HOUR), CUES[1]], [(0.0, 2.2), (2.2, 3.2)], 0, 0.0),
        ([Cue("I hate", 3.0, 3.9), Cue("everybody here", 4.1, 5.0)], [(3.0, 3.9)], 1, 0.0),
    ],
)
def test_captions_are_fitted_to_the_media(
    recognizer: EmotionRecognizer,
    cues: list[Cue],
    expected: list[tuple[float, float]],
    dropped: int,
    shifted: float,
) -> None:
    captions = FittedCaptions(cues, SECONDS)
    stream = recognizer.new_stream(has_audio=True, has_video=False, cues=captions.cues)
    quarter = np.zeros(SAMPLE_RATE // 4, np.float32)
    found = [u for n in range(int(4 * SECONDS)) for u in stream.push(AudioChunk(n / 4, quarter))]
    found += stream.flush(SECONDS)
    assert [(u.start, u.end) for u in found] == expected
    assert all(u.text in [cue.text for cue in cues] for u in found), "no word from after the end"
    use = captions.use(stream.latest)
    assert use.dropped == ({"after_end": dropped} if dropped else {})
    assert use.shifted == shifted


def test_a_stream_treats_captions_as_predict_does(
    recognizer: EmotionRecognizer, talk: Path
) -> None:
    said = [CUES[0], Cue("Why?", 2.2, 99 * HOUR), *(Cue("No.", 3.4, 3.6) for _ in range(9))]
    cues = moved([*said, Cue("The end.", 5.0, 6.0)], HOUR)
    found = recognizer.predict(talk, cues)
    use = to_json(found)["captions"]
    assert use == {"given": 12, "dropped": {"after_end": 1}, "shifted": HOUR}
    assert found.warnings[-2:] == ("captions_dropped", "captions_shifted")
    events = streamed(recognizer, talk, cues)
    predicted = [utterance_json(turn) for turn in found.utterances]
    assert [utterance_json(event.prediction) for event in events] == predicted


def test_captions_of_another_recording_are_refused(
    recognizer: EmotionRecognizer, talk: Path
) -> None:
    cues = moved(CUES, HOUR + 30)
    for read in (recognizer.predict, lambda media, given: streamed(recognizer, media, given)):
        with pytest.raises(AvtError, match=r"all captions begin after the end of .*talk.wav \(4.0"):
            read(talk, cues)


def test_few_captions_beyond_the_end_move_nothing() -> None:
    late = [Cue("a", HOUR + n, HOUR + n + 0.5) for n in range(10)]
    assert FittedCaptions(late, 1.5 * HOUR).use(1.5 * HOUR).shifted == 0
    assert FittedCaptions(late, None).use(5.0).shifted == 0
    broadcast = [Cue("a", HOUR + 60.0 * n, HOUR + 60.0 * n + 1) for n in range(85)]
    assert FittedCaptions(broadcast, 1.5 * HOUR).use(1.5 * HOUR).dropped == {}


def test_a_long_end_reaches_no_further_than_the_next_caption() -> None:
    cues = [Cue("a", 0, 99 * HOUR), Cue("b", 500, 501), Cue("c", 501, 99 * HOUR)]
    ends = [cue.end for cue in FittedCaptions(cues, None).cues]
    assert ends == [LONGEST, 501, 501 + LONGEST]


SRT = """1
00:00:00,000 --> 00:00:01,200
I hate this.

2
00:00:01,500 --> what
lost

3
00:00:01,900 --> 00:00:02,000
[laughter]

4
00:00:02,200 --> 00:00:03,200
Why?

5
01:00:00,000 --> 01:00:01,000
The end.
"""


def test_what_was_left_out_is_said_once_and_counted(
    talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    captions = tmp_path / "talk.srt"
    captions.write_text(SRT, encoding="utf-8")
    sentence = (
        "3 of 5 captions were left out: 1 without words, 1 broken, 1 after the end of the media; "
        "broken at line 6."
    )
    arguments = ["predict", str(talk), "--transcript", str(captions), "--json"]
    code, out, err = run(arguments, monkeypatch, capsys)
    assert code == 0
    found = json.loads(out)
    assert found["captions"]["dropped"] == {"no_words": 1, "broken": 1, "after_end": 1}
    assert found["warnings"][-1] == "captions_dropped"
    assert err.count(sentence) == 1
    _, _, err = run(
        ["stream", str(talk), "--captions", str(captions), "--fast"], monkeypatch, capsys
    )
    assert err.count(sentence) == 1


def test_lines_without_words_of_a_text_are_counted(
    tmp_path: Path,
) -> None:
    words = tmp_path / "talk.txt"
    words.write_text("I hate this.\n[laughter]\nWhy?\n", encoding="utf-8")
    use = FittedCaptions(load_transcript(str(words)), 2.0).use(2.0)
    assert use.to_json() == {"given": 3, "dropped": {"no_words": 1}, "shifted": 0.0}


def test_an_empty_transcript_is_refused(
    talk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["predict", str(talk), "--transcript", "", "--out", str(tmp_path / "out")]
    code, _, err = run(arguments, monkeypatch, capsys)
    assert code == 1
    assert "the transcript has no words" in err
