"""What is wrong with a whole file is said on the terminal; its length and its spans are true."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from manifest_factory import write_manifest
from media_factory import speech_like, tone, truncate, write_media, write_wav
from tiny_network import save_tiny_network

from avt_memocmt.errors import AvtError
from avt_memocmt.inference.clips import read_clip
from avt_memocmt.inference.engine import load_torch
from avt_memocmt.inference.live import LiveStream
from avt_memocmt.inference.recognizer import Recognizer

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with random weights on tiny encoders."""
    return save_tiny_network(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def tiny(checkpoint: Path) -> Recognizer:
    return Recognizer(*load_torch(checkpoint))


def test_warnings_of_a_file_stand_under_its_table(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    cut = truncate(write_wav(tmp_path / "cut.wav", speech_like(3)), 0.6)
    arguments = ["predict", str(cut), "--checkpoint", str(checkpoint), "--no-transcribe"]
    code, out, _ = run(arguments, monkeypatch, capsys)
    assert code == 0
    table, _, below = out.partition("truncated: ")
    assert "0.00" in table
    assert below.startswith("The file ends before its header says it should")
    assert json.loads(run([*arguments, "--json"], monkeypatch, capsys)[1])["warnings"]


def test_stream_says_what_is_wrong_with_a_file(tiny: Recognizer, tmp_path: Path) -> None:
    cut = truncate(write_wav(tmp_path / "cut.wav", speech_like(3)), 0.6)
    said: list[str] = []
    options = {"transcribe": False, "as_fast_as_possible": True, "hop": 0}
    list(LiveStream(tiny, str(cut), warn=said.append, **options).events())
    assert any("truncated: The file ends before" in line for line in said)


def test_wrong_track_is_one_sentence(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    voice = str(write_wav(tmp_path / "voice.wav", speech_like(1)))
    for command in ("predict", "stream"):
        arguments = [command, voice, "--audio-track", "2", "--checkpoint", str(checkpoint)]
        code, _, err = run(arguments, monkeypatch, capsys)
        assert code == 1
        assert "has 1 sound track, so there is no track 2" in err


def test_track_that_is_named_is_heard(tiny: Recognizer, tmp_path: Path) -> None:
    voice = write_wav(tmp_path / "voice.wav", speech_like(1))
    options = {"transcribe": False}
    one = tiny.predict(voice, audio_track=1, **options)
    assert one == tiny.predict(voice, **options)
    with pytest.raises(AvtError, match="is for files and films"):
        LiveStream(tiny, "microphone", audio_track=1)


def test_duration_is_what_was_read(tiny: Recognizer, tmp_path: Path) -> None:
    sound = np.concatenate([speech_like(2), np.zeros(5 * 16_000, np.float32)])
    live = write_media(
        tmp_path / "live.webm", sound=sound, audio_codec="libopus", options={"live": "1"}
    )
    one = write_media(tmp_path / "one.ts", sound=speech_like(2), audio_codec="mp2")
    glued = tmp_path / "glued.ts"
    glued.write_bytes(2 * one.read_bytes())
    cut = truncate(write_media(tmp_path / "cut.flac", sound=sound, audio_codec="flac"), 0.5)
    whole = write_media(tmp_path / "whole.flac", sound=sound, audio_codec="flac")
    for path, seconds in ((live, 7.0), (glued, 4.0), (whole, 7.0)):
        assert tiny.predict(path, transcribe=False).duration == pytest.approx(seconds, abs=0.1)
    assert tiny.predict(cut, transcribe=False).duration < 6.0


def test_span_outside_a_clip_is_a_failed_row(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    write_wav(tmp_path / "clip.wav", speech_like(3))
    manifest = write_manifest(
        tmp_path,
        "clip.wav,Yes.,joy,,,,0.5,2.5",
        "clip.wav,Yes.,joy,,,,100,103",
        "clip.wav,Yes.,joy,,,,2.5,30",
        "clip.wav,Yes.,joy,,,,0.5,4.8",
        "clip.wav,Yes.,joy,,,,1,",
    )
    figures = tmp_path / "figures.json"
    arguments = ["evaluate", "--manifest", str(manifest), "--checkpoint", str(checkpoint)]
    _, _, err = run([*arguments, "--json", str(figures)], monkeypatch, capsys)
    failed = json.loads(figures.read_text())["failed"]
    assert [row["line"] for row in failed] == [3, 4]
    assert "ends at 3.00 s, so the span from 100 to 103 s is not in it" in failed[0]["reason"]
    assert "line 5: " in err
    assert "span_cut" in err


@pytest.mark.parametrize(("start", "end"), [(0.0, None), (0.0, 3.2), (1.0, None), (1.0, 40.0)])
def test_span_longer_than_the_model_hears_is_no_cut_file(
    tiny: Recognizer, tmp_path: Path, start: float, end: float | None
) -> None:
    path = write_wav(tmp_path / "long.wav", tone(50))
    utterance = read_clip(path, tiny.config, None, start, end)
    assert "span_cut" not in utterance.warnings
