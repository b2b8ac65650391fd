"""The main job end to end: real clips, every kind of bad input, transcripts, the JSON contract."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from footage import Spoken
from media_factory import (
    flip_bytes,
    picture,
    speech_like,
    tone,
    truncate,
    write_media,
    write_wav,
)
from PIL import Image
from word_error import normalized, word_errors

from avt_memocmt import EmotionRecognizer
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.results import to_json
from avt_memocmt.inference.which_faces import WhichFaces
from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.preprocessing.transcripts import Cue

FRAMES = [i / 10 for i in range(10)]


def check_contract(item: dict) -> None:
    """The JSON object of one input, as the design page promises it."""
    assert set(item) == {
        "media",
        "duration",
        "model",
        "utterances",
        "warnings",
        "picture",
        "speakers",
        "faces",
    }
    assert item["model"]["preset"] == "embedded"
    for turn in item["utterances"]:
        assert 0 <= turn["start"] <= turn["end"]
        assert list(turn["probabilities"]) == list(EMOTIONS)
        assert sum(turn["probabilities"].values()) == pytest.approx(1, abs=1e-3)
        assert turn["emotion"] == max(turn["probabilities"], key=turn["probabilities"].get)
        assert turn["text_source"] in {"given", "asr", "none"}
        assert (turn["text_source"] == "none") == (turn["text"] == "")
        uses = turn["modalities"]
        assert list(uses) == ["audio", "visual", "text"]
        assert sum(use["weight"] for use in uses.values()) == pytest.approx(1, abs=1e-3)
        for use in uses.values():
            assert use["present"] == (use["weight"] > 0) == (use["probabilities"] is not None)


def test_real_clips_give_one_utterance_with_face_voice_and_words(
    recognizer: EmotionRecognizer, talking_clips: list[Spoken], corpora: Path | None
) -> None:
    # Under the faces of the films that stand in for the corpora lies somebody else's speech.
    faces: WhichFaces = "speaking" if corpora else "largest"
    assert len(talking_clips) >= 10
    errors = 0
    for spoken in talking_clips:
        clip = spoken.path
        item = to_json(recognizer.predict(clip, faces=faces))
        check_contract(item)
        assert item["duration"] == pytest.approx(3.0, abs=0.1)
        (turn,) = item["utterances"]
        assert turn["modalities"]["audio"]["present"], clip.name
        assert turn["modalities"]["visual"]["present"], clip.name
        assert turn["text_source"] == "asr", clip.name
        assert 1.0 < turn["end"] - turn["start"] <= 3.0
        assert turn["warnings"] == []
        errors += word_errors(spoken.words.split(), normalized(turn["text"]))
    assert errors / (6 * len(talking_clips)) <= 0.25


def make_inputs(folder: Path) -> dict[str, Path]:
    """Inputs that are odd but can be predicted, by the warning they must carry ("" for none)."""
    voice = speech_like(2.0)
    made = {
        "audio_only": write_wav(folder / "audio_only.wav", voice),
        "six_channels": write_media(
            folder / "six.mkv", sound=np.stack([voice * (i == 2) for i in range(6)]), layout="5.1"
        ),
        "telephone": write_wav(folder / "telephone.wav", speech_like(2.0, rate=8000), rate=8000),
        "blink": write_wav(folder / "blink.wav", speech_like(0.05)),
        "two_frames": write_media(
            folder / "two_frames.mp4", picture_times=[0.0, 0.04], sound=speech_like(0.08)
        ),
        "black_with_voice": write_media(
            folder / "black.mp4", picture_times=FRAMES, shades=[0] * 10, sound=speech_like(1.0)
        ),
        "variable_rate": write_media(
            folder / "vfr.mkv", picture_times=[0.0, 0.04, 0.5, 0.55, 1.4], sound=speech_like(1.5)
        ),
        "music": write_wav(folder / "tone.wav", tone(1.5)),
    }
    return made


EXPECTED_WARNING = {
    "blink": "too_short",
    "two_frames": "too_short",
    "black_with_voice": "no_face",
    "variable_rate": "no_face",
}


def test_odd_inputs_are_predicted_with_a_named_warning(
    recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    for name, path in make_inputs(tmp_path).items():
        item = to_json(recognizer.predict(path, transcribe=False))
        check_contract(item)
        assert item["utterances"], name
        warnings = {w for turn in item["utterances"] for w in turn["warnings"]}
        if name in EXPECTED_WARNING:
            assert EXPECTED_WARNING[name] in warnings, name


def test_a_long_quiet_opening_is_judged_in_order_or_not_at_all(
    recognizer: EmotionRecognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hiss = (0.01 * np.random.default_rng(0).normal(size=16_000 * 40)).astype(np.float32)
    quiet = write_wav(tmp_path / "quiet.wav", hiss)
    spoken = write_wav(tmp_path / "spoken.wav", np.concatenate([hiss, speech_like(1.5)]))
    waited = [recognizer.predict(path, transcribe=False) for path in (quiet, spoken)]
    monkeypatch.setattr("avt_memocmt.inference.turn_policy.MOST_WAITING", 1)
    assert [recognizer.predict(path, transcribe=False) for path in (quiet, spoken)] == waited
    assert len(waited[0].utterances) > 2
    assert all("no_speech" in turn.warnings for turn in waited[0].utterances)
    (turn,) = waited[1].utterances
    assert turn.start > 39


def test_no_speech_falls_back_to_the_whole_clip(
    recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    hiss = (0.01 * np.random.default_rng(0).normal(size=32_000)).astype(np.float32)
    (turn,) = recognizer.predict(write_wav(tmp_path / "hiss.wav", hiss)).utterances
    assert (turn.start, turn.end) == (0.0, 2.0)
    assert "no_speech" in turn.warnings
    assert turn.text == ""


BROKEN = {
    "missing.mp4": "no such file|does not exist|missing|not found",
    "empty.mp4": "empty",
    "notes.txt": "not media|no media|media",
    "no_moov.mp4": "moov|cannot be decoded|incomplete|damaged|decode",
    "silent.wav": "nothing to judge",
    "black_and_silent.mp4": "nothing to judge",
    "plain.png": "no face",
}


def make_broken(folder: Path) -> None:
    """Everything that must be refused in one sentence, except the missing file."""
    (folder / "empty.mp4").touch()
    (folder / "notes.txt").write_text("a text, not a film", encoding="utf-8")
    whole = write_media(folder / "no_moov.mp4", picture_times=FRAMES, sound=speech_like(1.0))
    truncate(whole, 0.5)
    write_wav(folder / "silent.wav", np.zeros(16_000, dtype=np.float32))
    write_media(
        folder / "black_and_silent.mp4",
        picture_times=FRAMES,
        shades=[0] * 10,
        sound=np.zeros(16_000, dtype=np.float32),
    )
    Image.fromarray(picture(400, 300, 120)).save(folder / "plain.png")


def test_broken_inputs_are_named_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_broken(tmp_path)
    good = write_wav(tmp_path / "good.wav", speech_like(1.5))
    paths = [str(tmp_path / name) for name in BROKEN]
    out = tmp_path / "out"
    code, stdout, stderr = run(
        ["predict", *paths, str(good), "--json", "--no-transcribe", "--out", str(out)],
        monkeypatch,
        capsys,
    )
    assert code == 1
    (line,) = stdout.splitlines()
    assert json.loads(line)["media"] == str(good)
    assert "Traceback" not in stderr
    complaints = [text for text in stderr.splitlines() if text.startswith("failed:")]
    assert len(complaints) == len(BROKEN)
    for name, pattern in BROKEN.items():
        (complaint,) = [text for text in complaints if name in text]
        assert re.search(pattern, complaint, re.IGNORECASE), complaint
    report = (out / "report.html").read_text(encoding="utf-8")
    assert all(name in report for name in [*BROKEN, "good.wav"])
    assert len(json.loads((out / "predictions.json").read_text(encoding="utf-8"))) == 1


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bytes_are_survived_or_refused(
    recognizer: EmotionRecognizer, tmp_path: Path, seed: int
) -> None:
    path = write_media(
        tmp_path / "flipped.mkv", picture_times=[i / 25 for i in range(50)], sound=speech_like(2.0)
    )
    flip_bytes(path, 40, seed)
    try:
        found = recognizer.predict(path, transcribe=False)
    except AvtError as error:
        message = str(error)
    else:
        check_contract(to_json(found))
        return
    assert "flipped.mkv" in message


def test_an_empty_folder_and_an_unwritable_output_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nothing").mkdir()
    code, out, err = run(["predict", str(tmp_path / "nothing"), "--json"], monkeypatch, capsys)
    assert (code, out) == (1, "")
    assert "nothing" in err
    (tmp_path / "file").touch()
    voice = write_wav(tmp_path / "voice.wav", speech_like(0.5))
    target = str(tmp_path / "file" / "out")
    code, out, err = run(["predict", str(voice), "--out", target], monkeypatch, capsys)
    assert (code, out) == (1, "")
    assert "cannot write into" in err


def test_wrong_usage_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict"], monkeypatch, capsys)[0] == 2
    assert run(["predict", "a.mp4", "--nonsense"], monkeypatch, capsys)[0] == 2


def test_an_emotion_below_the_least_confidence_is_uncertain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    voice = write_wav(tmp_path / "voice.wav", speech_like(1.0))

    def found(*options: str) -> dict:
        code, out, _ = run(["predict", str(voice), "--json", *options], monkeypatch, capsys)
        assert code == 0
        turn: dict = json.loads(out)["utterances"][0]
        return turn

    sure, unsure = found(), found("--min-confidence", "1")
    assert unsure["emotion"] == "uncertain"
    assert sure["emotion"] == max(unsure["probabilities"], key=unsure["probabilities"].get)
    assert unsure["probabilities"] == sure["probabilities"]
    assert run(["predict", str(voice), "--min-confidence", "7"], monkeypatch, capsys)[0] == 2


def test_timed_cues_become_the_utterances(recognizer: EmotionRecognizer, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "talk.wav", speech_like(6.0))
    cues = [
        Cue("I am so happy!", 0.5, 2.0, "Ann"),
        Cue("Why did you do that?", 2.5, 4.0, "Bob"),
        Cue("Beyond the end.", 40.0, 42.0, "Bob"),
    ]
    first, second = recognizer.predict(path, cues).utterances
    assert (first.start, first.end, first.speaker) == (0.5, 2.0, "Ann")
    assert (second.text, second.text_source) == ("Why did you do that?", "given")
    assert first.modalities["audio"].present


def test_a_long_recording_is_one_dialogue_of_utterances(
    recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    sentence = np.concatenate([speech_like(2.5), np.zeros(24_000, dtype=np.float32)])
    path = write_wav(tmp_path / "long.wav", np.tile(sentence, 30))
    turns = recognizer.predict(path, transcribe=False).utterances
    assert len(turns) == 30 > 2 * recognizer.config.model.temporal_window
    assert turns[-1].end <= 120.1
    assert all(a.end <= b.start for a, b in pairwise(turns))


def test_the_past_matters_but_the_future_does_not(
    recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    path = write_wav(tmp_path / "talk.wav", speech_like(8.0))
    told = [Cue("You lied to me!", 0.0, 2.0), Cue("I see.", 3.0, 5.0), Cue("Great!", 6.0, 8.0)]
    other = [Cue("What a lovely day!", 0.0, 2.0), *told[1:]]
    whole = recognizer.predict(path, told).utterances
    shorter = recognizer.predict(path, told[:2]).utterances
    changed = recognizer.predict(path, other).utterances
    assert whole[1].probabilities == pytest.approx(shorter[1].probabilities, abs=1e-5)
    assert whole[1].probabilities != pytest.approx(changed[1].probabilities, abs=1e-4)


def test_an_untimed_transcript_is_divided_by_alignment(
    recognizer: EmotionRecognizer, sentences: list[Spoken], tmp_path: Path
) -> None:
    first, second = sentences[0], next(one for one in sentences if one.words != sentences[0].words)
    quiet = np.zeros(16_000, dtype=np.float32)
    sound = np.concatenate([load_audio(first.path), quiet, load_audio(second.path)])
    path = write_wav(tmp_path / "two.wav", sound)
    texts = [first.sentence, second.sentence]
    turns = recognizer.predict(path, [Cue(" ".join(texts))]).utterances
    assert [turn.text for turn in turns] == texts
    assert not any("transcript_mismatch" in turn.warnings for turn in turns)


def test_a_transcript_of_something_else_is_noticed(
    recognizer: EmotionRecognizer, talking_clip: Spoken
) -> None:
    clip = talking_clip.path
    wrong = "Yesterday the committee unanimously rejected our proposal about parking."
    (turn,) = recognizer.predict(clip, [Cue(wrong)]).utterances
    assert "transcript_mismatch" in turn.warnings
    (turn,) = recognizer.predict(clip, [Cue(talking_clip.words)]).utterances
    assert "transcript_mismatch" not in turn.warnings


def test_a_small_picture_of_a_face_is_taken_as_one(
    recognizer: EmotionRecognizer, small_face: Path, tmp_path: Path
) -> None:
    item = to_json(recognizer.predict(small_face))
    check_contract(item)
    (turn,) = item["utterances"]
    assert item["duration"] == 0.0
    assert [m for m, use in turn["modalities"].items() if use["present"]] == ["visual"]
    Image.fromarray(picture(48, 48, 90)).save(tmp_path / "plain.png")
    (turn,) = to_json(recognizer.predict(tmp_path / "plain.png"))["utterances"]
    assert turn["warnings"] == ["image_used_as_face"]
