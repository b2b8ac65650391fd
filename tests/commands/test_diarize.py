"""`diarize` and `evaluate-speakers` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run
from media_factory import speech_like, write_wav

pytest.importorskip("pyannote.metrics", reason="install the extra 'speakers' to run this test")

TRUTH = """\
SPEAKER talk 1 0.000 4.000 <NA> <NA> anna <NA> <NA>
SPEAKER talk 1 4.000 4.000 <NA> <NA> ben <NA> <NA>
SPEAKER other 1 0.000 2.000 <NA> <NA> anna <NA> <NA>
"""


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "truth.rttm"
    path.write_text(TRUTH, encoding="utf-8")
    return path


def test_rttm_is_scored_and_a_bad_file_does_not_stop_the_rest(
    tmp_path: Path,
    reference: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found, broken, figures = (tmp_path / name for name in ("a.rttm", "b.rttm", "out.json"))
    # Of 8 s, 1 s is confused: from 4 to 5.
    found.write_text(
        "SPEAKER talk 1 0 5 <NA> <NA> x <NA> <NA>\nSPEAKER talk 1 5 3 <NA> <NA> y <NA> <NA>\n",
        encoding="utf-8",
    )
    broken.write_text("SPEAKER talk 1 0 later <NA> <NA> x <NA> <NA>\n", encoding="utf-8")
    arguments = [str(broken), str(found), "--reference", str(reference), "--json", str(figures)]
    status, out, err = run(["evaluate-speakers", *arguments], monkeypatch, capsys)
    assert status == 1
    assert "0.125" in out
    assert f"failed: {broken}" in err
    assert "1 of 2 recordings" in err
    written = json.loads(figures.read_text())
    assert written["no_collar"]["confusion"] == pytest.approx(0.125)
    assert written["collar_0.25"]["der"] == pytest.approx(0.75 / 7.0)
    assert [failure["file"] for failure in written["failed"]] == [str(broken)]


def test_diarize_writes_rttm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(tmp_path / "talk.wav", speech_like(1.5))
    out = tmp_path / "talk.rttm"
    status, printed, err = run(
        ["diarize", str(tmp_path / "talk.wav"), "--out", str(out)], monkeypatch, capsys
    )
    assert (status, printed) == (0, "")
    assert "1 speaker, " in err
    assert all(line.startswith("SPEAKER talk 1 ") for line in out.read_text().splitlines())


@pytest.mark.parametrize("speakers", ["none", "0", "-1", "99", "off"])
def test_no_number_of_speakers_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    speakers: str,
) -> None:
    write_wav(tmp_path / "talk.wav", speech_like(0.5))
    arguments = [str(tmp_path / "talk.wav"), f"--speakers={speakers}"]
    status, _, err = run(["diarize", *arguments], monkeypatch, capsys)
    assert status == 1
    assert ("finds nobody" if speakers == "off" else "no number of speakers") in err
