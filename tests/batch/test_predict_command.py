"""`avt-memocmt predict` on a folder, end to end: results, films, tables, and a second run."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from command_line import run
from footage import Spoken
from media_factory import write_wav

from avt_memocmt import EmotionRecognizer
from avt_memocmt.inference.results import to_json
from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.preprocessing.face_detectors import make_detector
from avt_memocmt.preprocessing.face_tracker import find_faces
from avt_memocmt.preprocessing.video_preprocess import sample_frames


def test_a_folder_is_predicted_file_by_file_and_not_twice(
    talking_clip: Spoken,
    recognizer: EmotionRecognizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    media, out = tmp_path / "media", tmp_path / "out"
    (media / "talks").mkdir(parents=True)
    film = shutil.copy(talking_clip.path, media / f"film{talking_clip.path.suffix}")
    sound = write_wav(media / "talks" / "talk.wav", load_audio(talking_clip.path))
    (media / "broken.mp4").write_bytes(b"no film")
    command = ["predict", str(media), "--out", str(out), "--no-transcribe", "--json"]
    command += ["--speakers", "off", "--overlay", "--blur-faces", "--format", "srt"]
    status, printed, said = run([*command, "--jobs", "1"], monkeypatch, capsys)
    assert status == 1
    assert "broken.mp4" in said
    assert "2 files done, 1 failed" in said
    wanted = to_json(recognizer.predict(sound, transcribe=False, speakers="off"))
    found = json.loads((out / "talks" / "talk.wav.json").read_text())
    assert found.keys() == wanted.keys()
    assert found["utterances"][0]["emotion"] == wanted["utterances"][0]["emotion"]
    lines = [json.loads(line) for line in printed.splitlines()]
    assert [line["media"] for line in lines] == [str(film), str(sound)]
    assert (out / "talks" / "talk.wav.srt").is_file()
    overlay = out / f"{Path(film).name}.overlay.mp4"
    assert not (out / "talks" / "talk.wav.overlay.mp4").exists()  # no pictures, no failure
    shown = [frame.image for frame in sample_frames(overlay, 2)]
    assert not any(find_faces(picture, make_detector("yunet")) for picture in shown)
    with (out / "summary.csv").open(newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert rows["talks/talk.wav"]["warnings"] == "no_video"
    written = overlay.stat().st_mtime_ns
    (media / "broken.mp4").unlink()
    status, printed, said = run([*command, "--resume"], monkeypatch, capsys)
    assert status == 0
    assert "2 files are done already" in said
    assert len(printed.splitlines()) == 2
    assert overlay.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--jobs", "2"], "give --out"),
        (["--watch"], "give --out"),
        (["--resume", "--out", "OUT", "--transcript", "words"], "--transcript belongs to one"),
        (["--resume", "--out", "OUT", "--speaker-names", "FILE"], "--speaker-names belongs to one"),
        (["--overlay"], "--overlay needs --out"),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(
    options: list[str],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = tmp_path / "names.txt"
    names.write_text("S1 = Anna")
    given = [str({"OUT": tmp_path / "out", "FILE": names}.get(part, part)) for part in options]
    status, _, said = run(["predict", str(tmp_path), *given], monkeypatch, capsys)
    assert status == 1
    assert why in said
