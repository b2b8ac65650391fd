"""Formats are named, files of inputs keep apart, and each file is whole or not there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from command_line import run
from conversation_factory import conversation, spoken
from full_disk import full_disk
from media_factory import speech_like, write_wav
from PIL import Image

from avt_memocmt.errors import AvtError
from avt_memocmt.exports.formats import FORMATS, Stems, format_names, safe_stem, write_exports
from avt_memocmt.exports.tiers import speaker_tiers
from avt_memocmt.inference.results import MediaPrediction, Speaker

FORMATS_OF_ALL = ",".join(FORMATS)


def test_formats_are_taken_by_name_each_once() -> None:
    assert format_names(" csv,JSON,,csv ") == ("csv", "json")
    assert len({one.suffix.casefold() for one in FORMATS.values()}) == len(FORMATS)
    with pytest.raises(AvtError, match="'xls' is unknown; give some of json, csv, frames"):
        format_names("json,xls")
    with pytest.raises(AvtError, match="no format is named"):
        format_names(" , ")


@pytest.mark.parametrize(
    ("media", "stem"),
    [
        ("talks/talk.mp4", "talk"),
        ("C:\\talks\\talk.tar.gz", "talk.tar"),
        ("../../etc/passwd", "passwd"),
        ("..", "media"),
        ("", "media"),
        ("<bytes>", "_bytes_"),
        ("a:b?c*.wav", "a_b_c_"),
        ("esc\x1b[31m\nape.wav", "esc\ufffd[31m ape"),
        (".hidden", "hidden"),
        ("日本語.mp4", "日本語"),
    ],
)
def test_a_media_gives_its_name_without_leading_out_of_the_folder(media: str, stem: str) -> None:
    assert safe_stem(media) == stem


def test_long_names_are_cut_between_characters(tmp_path: Path) -> None:
    stem = safe_stem("日" * 300 + ".mp4")
    assert stem == "日" * 40
    (path,) = write_exports(conversation(), ["webannotation"], tmp_path, stem)
    assert path.exists()


def test_no_two_inputs_of_a_run_share_their_files() -> None:
    stems = Stems(["predictions"])
    given = ["a/talk.mp4", "b/talk.mp4", "TALK.wav", "talk-2.mp4", "predictions.mp4"]
    assert [stems.next(media) for media in given] == [
        "talk",
        "talk-2",
        "TALK-3",
        "talk-2-2",
        "predictions-2",
    ]


def test_utterances_of_one_speaker_that_overlap_lie_on_further_tiers() -> None:
    turns = [
        spoken(0, 3, "S1", "joy"),
        spoken(1, 2, "S2", "joy"),
        spoken(2.5, 4, "S1", "fear"),
        spoken(3, 5, "S1", "anger"),
        spoken(2, 2, "S1", "sadness"),
    ]
    speakers = [Speaker("S1", "Anna", 1.0), Speaker("S2", "Anna", 1.0)]
    tiers = speaker_tiers(conversation(*turns, speakers=speakers))
    found = [(tier.name, [(start, end) for start, end, _ in tier.spans]) for tier in tiers]
    assert found == [
        ("Anna", [(0, 3000), (3000, 5000)]),
        ("Anna (3)", [(2000, 2001), (2500, 4000)]),
        ("Anna (2)", [(1000, 2000)]),
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_whole_or_not_there(name: str, hostile: MediaPrediction, tmp_path: Path) -> None:
    (path,) = write_exports(hostile, [name], tmp_path, "talk")
    before = path.read_bytes()
    with full_disk(20), pytest.raises(AvtError, match="cannot write"):
        write_exports(hostile, [name], tmp_path, "talk")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_predict_writes_the_formats_beside_its_own_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    media = [tmp_path / "a/clip.wav", tmp_path / "b/clip.png"]
    for path in media:
        path.parent.mkdir()
    write_wav(media[0], speech_like(1.0))
    Image.new("RGB", (48, 48), "grey").save(media[1])  # so small that it is taken for a face
    out = tmp_path / "out"
    names = [*map(str, media), "--no-transcribe", "--speakers", "off"]
    command = ["predict", *names, "--out", str(out), "--format", FORMATS_OF_ALL]
    status, _, said = run(command, monkeypatch, capsys)
    assert status == 0, said
    expected = {
        f"{stem}{one.suffix}" for stem in ("clip", "clip-2") for one in FORMATS.values()
    } | {"predictions.json", "report.html"}
    assert {path.name for path in out.iterdir()} == expected
    one, other = json.loads((out / "predictions.json").read_text())
    assert json.loads((out / "clip.json").read_text()) == one
    assert json.loads((out / "clip-2.json").read_text()) == other
    assert "wrote" in said
    rows = (out / "clip-2.frames.csv").read_text().splitlines()
    assert rows[1].split(",")[4:9] == ["1", "0.0", "0.0", "48.0", "48.0"]


def test_a_data_frame_without_pandas_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(AvtError, match=r"needs the package pandas; .*avt-memocmt\[tables\]"):
        conversation().to_frame()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "json,xls", "--out", "OUT"], "'xls' is unknown"),
        (["--format", "json"], "--format needs --out"),
    ],
)
def test_predict_refuses_formats_before_any_work(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, error = run(["predict", "absent.wav", *arguments], monkeypatch, capsys)
    assert status == 1
    assert said in error
    assert error.count("\n") <= 3
    assert not list(tmp_path.iterdir())
