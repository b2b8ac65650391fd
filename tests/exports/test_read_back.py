"""Every format says to its own reader what the prediction says."""

from __future__ import annotations

import html
import json
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

import pandas as pd
import parselmouth
import pympi
import pysubs2
import pytest
import webvtt
from lxml import etree
from parselmouth.praat import call
from pyannote.database.util import load_rttm
from pyarrow import parquet

from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.exports.formats import FORMATS, write_exports
from avt_memocmt.exports.label_studio import CONFIG, IMAGE_CONFIG
from avt_memocmt.exports.plain_text import clean, one_line
from avt_memocmt.exports.tiers import KINDS
from avt_memocmt.inference.results import (
    MediaPrediction,
    UtterancePrediction,
    speaker_names,
    to_json,
)
from avt_memocmt.inference.results_json import prediction_from_json
from avt_memocmt.speakers.rttm import read_rttm

SCHEMA = Path(sys.prefix) / "eaf-schema/EAFv3.0.xsd"
MADE = ("hostile", "without utterances", "of nobody known", "of a picture")


@pytest.fixture(params=["of real footage", *MADE])
def prediction(request: pytest.FixtureRequest) -> MediaPrediction:
    """Each prediction in turn."""
    if request.param == "of real footage":
        found: MediaPrediction = request.getfixturevalue("talk")
    else:
        found = request.getfixturevalue("made")[request.param]
    return found


def written(prediction: MediaPrediction, name: str, folder: Path) -> Path:
    """The file of a prediction in one format."""
    (path,) = write_exports(prediction, [name], folder, "file")
    assert [item.name for item in folder.iterdir()] == [path.name]
    return path


def named(prediction: MediaPrediction, turn: UtterancePrediction) -> str:
    """What the speaker is called in formats whose names take one line; "" for nobody."""
    if turn.speaker is None:
        return ""
    return one_line(speaker_names(prediction).get(turn.speaker, turn.speaker))


def times(turn: UtterancePrediction) -> tuple[int, int]:
    """Milliseconds of an utterance; one without length lasts one."""
    return round(turn.start * 1000), max(round(turn.end * 1000), round(turn.start * 1000) + 1)


def test_json_is_the_prediction(prediction: MediaPrediction, tmp_path: Path) -> None:
    found = json.loads(written(prediction, "json", tmp_path).read_text(encoding="utf-8"))
    assert found == to_json(prediction)


def test_pandas_reads_the_table(prediction: MediaPrediction, tmp_path: Path) -> None:
    path = written(prediction, "csv", tmp_path)
    found = pd.read_csv(path, keep_default_na=False)
    assert list(found["text"]) == [clean(turn.text) for turn in prediction.utterances]
    assert list(found["emotion"]) == [turn.emotion for turn in prediction.utterances]
    assert list(found["warnings"]) == [" ".join(turn.warnings) for turn in prediction.utterances]
    assert [one_line(name) for name in found["name"]] == [
        named(prediction, turn) for turn in prediction.utterances
    ]
    chances = found[[f"p_{name}" for name in EMOTIONS]].to_numpy(float)
    for row, turn in zip(chances, prediction.utterances, strict=True):
        assert row == pytest.approx(turn.probabilities, abs=1e-4)


def test_the_table_is_the_data_frame(talk: MediaPrediction, tmp_path: Path) -> None:
    frame = talk.to_frame()
    pd.testing.assert_frame_equal(
        pd.read_csv(written(talk, "csv", tmp_path), keep_default_na=False),
        frame,
        check_dtype=False,
        check_exact=True,
    )
    assert len(frame) == len(talk.utterances) >= 2
    turn, row = talk.utterances[0], frame.iloc[0]
    for modality, use in turn.modalities.items():
        assert row[f"{modality}_weight"] == pytest.approx(use.weight, abs=1e-4)
        assert row[f"{modality}_emotion"] == use.emotion
    assert frame["speaker"].nunique() == 2


def test_pandas_and_arrow_read_the_faces(talk: MediaPrediction, tmp_path: Path) -> None:
    paths = write_exports(talk, ["frames", "frames-parquet"], tmp_path, "file")
    from_csv = pd.read_csv(paths[0])
    from_parquet = parquet.read_table(paths[1]).to_pandas()
    pd.testing.assert_frame_equal(from_csv.assign(speaks=from_csv["speaks"] == 1), from_parquet)
    faces = talk.sampled_faces
    assert len(from_csv) == len(faces) > 40  # two faces in some 24 pictures
    assert list(from_csv["time"]) == [round(face.time, 6) for face in faces]
    assert set(from_csv["face"]) == {face.id for face in talk.faces}
    for place, side in enumerate(("left", "top", "width", "height")):
        assert list(from_csv[side]) == [round(face.box[place], 1) for face in faces]
    sums = from_csv[[f"p_{name}" for name in EMOTIONS]].sum(axis=1)
    assert sums.between(0.999, 1.001).all()
    # Whoever speaks is on their side of the picture.
    middle = (talk.picture_size or (0, 0))[0] / 2
    turn = talk.utterances[0]
    spoke = from_csv[(from_csv["speaks"] == 1) & from_csv["time"].between(turn.start, turn.end)]
    assert len(spoke) > 3
    assert (spoke["left"] < middle).all()


def test_faces_that_were_not_recorded_are_not_written_as_none(
    made: dict[str, MediaPrediction], talk: MediaPrediction, tmp_path: Path
) -> None:
    again = prediction_from_json(to_json(talk))
    for name in ("frames", "frames-parquet"):
        with pytest.raises(AvtError, match='not recorded; predict with sampled_faces="judged"'):
            written(again, name, tmp_path)
    assert not list(tmp_path.iterdir())
    sound = made["of nobody known"]
    assert len(pd.read_csv(written(sound, "frames", tmp_path))) == 0


def test_webvtt_reads_the_subtitles(prediction: MediaPrediction, tmp_path: Path) -> None:
    cues = webvtt.read(str(written(prediction, "vtt", tmp_path))).captions
    assert len(cues) == len(prediction.utterances)
    for cue, turn in zip(cues, prediction.utterances, strict=True):
        start, end = (time.in_milliseconds() for time in (cue.start_time, cue.end_time))
        assert (start, end) == times(turn)
        assert html.unescape(cue.voice or "") == named(prediction, turn)
        shown = html.unescape(cue.text)
        assert shown.startswith(one_line(turn.text))
        assert shown.endswith(f"{turn.likeliest} {turn.confidence:.0%}]")
        assert f"<c.{turn.emotion}>" in cue.raw_text


def test_pysubs2_reads_the_subtitles(prediction: MediaPrediction, tmp_path: Path) -> None:
    path = written(prediction, "srt", tmp_path)
    events = list(pysubs2.load(str(path), encoding="utf-8", format_="srt"))
    assert len(events) == len(prediction.utterances)
    for event, turn in zip(events, prediction.utterances, strict=True):
        assert (event.start, event.end) == times(turn)
        name = named(prediction, turn)
        said = (f"{name}: " if name else "") + one_line(turn.text)
        said = said.replace("{", "(").replace("}", ")")  # readers hide what stands in braces
        shown = event.plaintext.replace("\u2060", "")
        assert shown.startswith(said)
        assert shown.removeprefix(said).strip().startswith("[")


def tiers_of(prediction: MediaPrediction) -> Counter[tuple[int, int, str, str]]:
    """What the tiers have to hold: times, words and emotion of each utterance."""
    return Counter(
        (*times(turn), one_line(turn.text), turn.emotion) for turn in prediction.utterances
    )


def test_pympi_reads_the_annotations(prediction: MediaPrediction, tmp_path: Path) -> None:
    path = written(prediction, "eaf", tmp_path)
    found = pympi.Elan.Eaf(str(path))
    held: Counter[tuple[int, int, str, str]] = Counter()
    words = [name for name in found.get_tier_names() if name.startswith("text@")]
    for tier in words:
        spans = sorted(found.get_annotation_data_for_tier(tier))
        assert all(one[1] <= other[0] for one, other in pairwise(spans))
        # get_annotation_data_for_tier gives the times and words of the parent with each child.
        children = found.get_annotation_data_for_tier(tier.replace("text@", "emotion@", 1))
        emotions = {child[:2]: child[2] for child in children}
        held.update((*span[:2], one_line(span[2]), emotions[span[:2]]) for span in spans)
        for opinion in ("voice", "face", "words"):
            child = tier.replace("text@", f"{opinion}@", 1)
            assert {item[2] for item in found.get_annotation_data_for_tier(child)} <= {*EMOTIONS}
    assert held == tiers_of(prediction)
    people = {turn.speaker for turn in prediction.utterances}
    assert len(words) >= len(people)
    assert len(found.get_tier_names()) == len(words) * len(KINDS)


def test_elan_finds_the_film_from_where_the_file_lies(
    talk: MediaPrediction, tmp_path: Path
) -> None:
    (media,) = pympi.Elan.Eaf(str(written(talk, "eaf", tmp_path))).get_linked_files()
    assert Path(url2pathname(urlparse(media["MEDIA_URL"]).path)).samefile(talk.media)
    assert (tmp_path / unquote(media["RELATIVE_MEDIA_URL"])).samefile(talk.media)
    assert media["MIME_TYPE"] == "video/mp4"


def test_the_annotations_are_valid_for_elan(prediction: MediaPrediction, tmp_path: Path) -> None:
    if not SCHEMA.exists():
        pytest.skip("make test fetches the schema of ELAN's files, which is not there")
    schema = etree.XMLSchema(etree.parse(SCHEMA))
    schema.assertValid(etree.parse(written(prediction, "eaf", tmp_path)))


def test_praat_reads_the_grid(prediction: MediaPrediction, tmp_path: Path) -> None:
    grid = parselmouth.read(str(written(prediction, "textgrid", tmp_path)))
    tiers: dict[str, list[tuple[int, int, str]]] = {}
    for tier in range(1, call(grid, "Get number of tiers") + 1):
        assert call(grid, "Is interval tier", tier)
        tiers[call(grid, "Get tier name", tier)] = list(intervals(grid, tier))
    end = call(grid, "Get end time")
    for spans in tiers.values():
        assert spans[0][0] == 0
        assert spans[-1][1] == round(end * 1000)
        assert all(one[1] == other[0] for one, other in pairwise(spans))
    held: Counter[tuple[int, int, str, str]] = Counter()
    for name, spans in tiers.items():
        if name.startswith("text@"):
            emotions = tiers[name.replace("text@", "emotion@", 1)]
            pairs = zip(spans, emotions, strict=True)
            held.update((*span, emotion[2]) for span, emotion in pairs if emotion[2])
    assert held == tiers_of(prediction)


def intervals(grid: parselmouth.Data, tier: int) -> Iterator[tuple[int, int, str]]:
    """Start and end in milliseconds, and the text."""
    for interval in range(1, call(grid, "Get number of intervals", tier) + 1):
        start, end = (
            round(call(grid, f"Get {side} time of interval", tier, interval) * 1000)
            for side in ("start", "end")
        )
        yield start, end, call(grid, "Get label of interval", tier, interval)


def test_pyannote_reads_who_speaks(prediction: MediaPrediction, tmp_path: Path) -> None:
    path = written(prediction, "rttm", tmp_path)
    expected = Counter(
        "_".join(named(prediction, turn).split()) or "_"
        for turn in prediction.utterances
        if turn.speaker is not None and turn.end > turn.start
    )
    if not expected:
        assert path.read_bytes() == b""
        return
    (annotation,) = load_rttm(path).values()
    assert Counter(label for _, _, label in annotation.itertracks(yield_label=True)) == expected
    (turns,) = read_rttm(path).values()
    assert Counter(turn.speaker for turn in turns) == expected


def test_labels_are_three_fields_a_line(prediction: MediaPrediction, tmp_path: Path) -> None:
    lines = written(prediction, "audacity", tmp_path).read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    for line, turn in zip(lines, prediction.utterances, strict=True):
        start, end, label = line.split("\t")
        assert (float(start), float(end)) == pytest.approx((turn.start, turn.end), abs=1e-6)
        assert turn.likeliest in label
        assert one_line(turn.text) in label


def test_label_studio_finds_its_labels(prediction: MediaPrediction, tmp_path: Path) -> None:
    (task,) = json.loads(written(prediction, "label-studio", tmp_path).read_text("utf-8"))
    (predicted,) = task["predictions"]
    is_picture = prediction.media == "photo.jpg"
    config = etree.fromstring(IMAGE_CONFIG if is_picture else CONFIG)
    controls = {tag.get("name"): tag for tag in config if tag.get("name")}
    assert all(
        tag.get("value", "$media").lstrip("$") in task["data"]
        for tag in controls.values()
        if tag.get("toName") is None
    )
    regions = [one for one in predicted["result"] if one["from_name"] == "emotion"]
    assert len(regions) == len(prediction.utterances)
    for result in predicted["result"]:
        control = controls[result["from_name"]]
        assert control.tag.lower() == result["type"]
        assert control.get("toName") == result["to_name"]
        assert controls[result["to_name"]].tag == ("Image" if is_picture else "Audio")
    for result, turn in zip(regions, prediction.utterances, strict=True):
        (label,) = result["value"]["choices" if is_picture else "labels"]
        assert label == turn.emotion
        assert label in [one.get("value") for one in controls["emotion"]]
        if not is_picture:
            span = result["value"]["start"], result["value"]["end"]
            assert [round(1000 * time) for time in span] == [*times(turn)]
    texts = [one["value"]["text"][0] for one in predicted["result"] if one["from_name"] == "text"]
    assert texts == [clean(turn.text) for turn in prediction.utterances if turn.text]


def test_web_annotations_point_into_the_media(prediction: MediaPrediction, tmp_path: Path) -> None:
    page = json.loads(written(prediction, "webannotation", tmp_path).read_text("utf-8"))
    assert page["@context"][0] == "http://www.w3.org/ns/anno.jsonld"
    assert page["type"] == "AnnotationPage"
    assert len({item["id"] for item in page["items"]}) == len(prediction.utterances)
    for item, turn in zip(page["items"], prediction.utterances, strict=True):
        assert (item["type"], item["motivation"]) == ("Annotation", "classifying")
        bodies = {body["purpose"]: body["value"] for body in item["body"]}
        assert bodies["classifying"] == turn.emotion
        assert bodies.get("identifying", "") == named(prediction, turn)
        assert bodies.get("describing", "") == clean(turn.text)
        target = item["target"]
        if prediction.duration == 0:
            assert target == "./photo.jpg"
            continue
        name, fragment = target["selector"]["value"].split("=")
        start, end = map(float, fragment.split(","))
        assert name == "t"
        assert (round(1000 * start), round(1000 * end)) == times(turn)
        assert urlparse(target["source"]).scheme == ""
        is_here = (tmp_path / unquote(target["source"])).exists()
        assert is_here is prediction.media.endswith("two people.mp4")


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "frames-parquet"])
def test_no_control_character_reaches_a_file(
    hostile: MediaPrediction, name: str, tmp_path: Path
) -> None:
    text = written(hostile, name, tmp_path).read_bytes().decode()
    controls = {chr(code) for code in (*range(32), *range(0x7F, 0xA0))}
    assert not (controls - {"\n", "\t"}) & set(text)
