import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from page_reader import HOSTILE, Page, chances

from avt_memocmt.emotions import COLOURS, EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.results import MediaPrediction, ModalityUse, UtterancePrediction
from avt_memocmt.report.prediction_page import write_report
from avt_memocmt.report.timeline import Layout, tick_step, timeline_svg
from avt_memocmt.wording import WARNINGS, clock

SVG = "{http://www.w3.org/2000/svg}"


def utterance(
    start, end, emotion, *, text="some words", speaker=None, face=None, words=None, **more
):
    uses = {
        "audio": ModalityUse(True, 0.5, chances(emotion)),
        "visual": ModalityUse(face is not None, 0.2 if face else 0.0, face and chances(face)),
        "text": ModalityUse(words is not None, 0.3 if words else 0.0, words and chances(words)),
    }
    return UtterancePrediction(
        start, end, speaker, text, "given", chances(emotion, more.pop("top", 0.7)), uses, **more
    )


def media(*utterances, name="clip.mp4", duration=10.0, warnings=()):
    return MediaPrediction(name, duration, "embedded", "0.1.0", utterances, warnings)


def report(tmp_path, *predictions, failures=()):
    path = tmp_path / "report.html"
    write_report(predictions, failures, path)
    return Page(path.read_text(encoding="utf-8"))


def rectangles(svg, colour):
    return [
        {key: float(rect.get(key)) for key in ("x", "y", "width", "height")}
        for rect in ET.fromstring(svg).iter(f"{SVG}rect")
        if rect.get("fill") == colour and rect.get("fill-opacity") == "1.0"
    ]


def test_bars_stand_at_their_times_as_high_as_their_confidence():
    svg = timeline_svg(media(utterance(2.0, 7.0, "joy", top=0.4), duration=10.0))
    _, lane, share = rectangles(svg, COLOURS["joy"])  # the first is the key
    seconds = (Layout.right - Layout.left) / 10
    for bar in (lane, share):
        assert bar["x"] == pytest.approx(Layout.left + 2 * seconds, abs=0.01)
        assert bar["width"] == pytest.approx(5 * seconds, abs=0.01)
    full = timeline_svg(media(utterance(2.0, 7.0, "joy", top=1.0)))
    assert lane["height"] == pytest.approx(
        0.4 * rectangles(full, COLOURS["joy"])[1]["height"], abs=0.01
    )
    assert share["height"] == pytest.approx(0.4 * Layout.stack, abs=0.01)


def test_an_uncertain_utterance_is_unfilled_in_the_lane_of_the_likeliest(tmp_path):
    doubted = media(
        utterance(2.0, 7.0, "joy", top=0.4, min_confidence=0.5), utterance(7.0, 8.0, "fear")
    )
    svg = timeline_svg(doubted)
    lanes = [
        bar for bar in rectangles(svg, COLOURS["joy"]) if bar["y"] < Layout.stack_top - Layout.lane
    ]
    assert [bar["height"] for bar in lanes] == [10.0]  # the swatch beside the lane's name
    assert "uncertain, joy 40%" in svg
    page = report(tmp_path, doubted)
    assert "Most time: uncertain 83%, fear 17%" in page.text
    assert "uncertain 40%" in page.text
    assert "Likeliest: joy." in page.text


def test_the_probabilities_of_an_utterance_fill_the_whole_stack():
    svg = timeline_svg(media(utterance(0.0, 10.0, "fear")))
    parts = [rectangles(svg, COLOURS[name])[-1] for name in EMOTIONS]
    assert sum(part["height"] for part in parts) == pytest.approx(Layout.stack, abs=0.05)
    edges = [part["y"] for part in parts] + [Layout.stack_top + Layout.stack]
    for part, following in zip(parts, edges[1:], strict=True):
        assert part["y"] + part["height"] == pytest.approx(following, abs=0.02)


@pytest.mark.parametrize(
    "prediction",
    [
        media(utterance(0.0, 0.1, "joy"), duration=0.1),
        media(utterance(0.0, 0.0, "joy"), duration=0.0),
        media(
            *(utterance(4.0 * i, 4.0 * i + 0.01, EMOTIONS[i % 7]) for i in range(300)),
            duration=1200,
        ),
        media(utterance(0.0, 12.0, "joy"), duration=10.0),
        media(utterance(999.99, 1000.0, "joy"), duration=1000.0),
        media(duration=5.0),
    ],
    ids=[
        "a tenth of a second",
        "still image",
        "300 utterances",
        "later than its media",
        "at the end",
        "nothing",
    ],
)
def test_every_length_is_drawn_inside_the_figure(prediction):
    root = ET.fromstring(timeline_svg(prediction))
    height = float(root.get("viewBox").split()[3])
    for rect in root.iter(f"{SVG}rect"):
        x, y, w, h = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
        assert w >= 1
        assert x >= 0
        assert x + w <= Layout.right + 0.01
        assert y >= 0
        assert y + h <= height
    for group, spoken in zip(root.iter(f"{SVG}g"), prediction.utterances, strict=True):
        lane = Layout.lanes_top < float(group.find(f"{SVG}rect").get("y")) < Layout.stack_top
        assert lane
        assert spoken.emotion in group.find(f"{SVG}title").text


def test_the_figure_says_in_words_what_it_shows():
    prediction = media(utterance(0, 1, "joy"), utterance(1, 2, "joy"), utterance(2, 3, "fear"))
    root = ET.fromstring(timeline_svg(prediction))
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == "Emotion timeline of clip.mp4"
    assert root.find(f"{SVG}desc").text == "3 utterances over 10.0 seconds: 2 joy, 1 fear."
    labels = {text.text for text in root.iter(f"{SVG}text")}
    assert set(EMOTIONS) <= labels


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0.0"), (59.94, "59.9"), (59.96, "1:00.0"), (63.25, "1:03.2"), (3723.0, "1:02:03.0")],
)
def test_clock(seconds, shown):
    assert clock(seconds) == shown


def test_clock_without_decimals():
    assert clock(125, 0) == "2:05"


@pytest.mark.parametrize("span", [0.1, 0.35, 1, 7, 19.7, 59, 100, 101, 1325, 7200, 40_000, 500_000])
def test_ticks_are_round_and_neither_crowded_nor_missing(span):
    assert 2 <= span / tick_step(span) <= 10


def test_hostile_text_stays_text(tmp_path):
    spoken = utterance(0, 1, "joy", text=HOSTILE, speaker=HOSTILE, warnings=(HOSTILE,))
    page = report(
        tmp_path, media(spoken, name=HOSTILE, warnings=(HOSTILE,)), failures=[(HOSTILE, HOSTILE)]
    )
    assert {"script", "img", "iframe", "link", "object"}.isdisjoint(tag for tag, _ in page.tags)
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)
    # Heading, contents, figure's name and hover text (speaker and words), speaker, words, input
    # and reason of the failure, and the three mentions of a warning without explanation.
    assert page.text.count("<script>alert('x')</script>") >= 8
    assert page.text.count("&amp;\ufffd\ufffd ünï 🎭") >= 8


def test_the_page_needs_nothing_from_outside(tmp_path):
    page = report(tmp_path, media(utterance(0, 1, "joy", warnings=("no_face",))))
    assert not any("src" in attrs for _, attrs in page.tags)
    targets = [attrs["href"] for attrs in page.attributes("a")]
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert targets
    assert all(target.startswith("#") and target[1:] in ids for target in targets)
    assert not re.search(r"url\(|@import", (tmp_path / "report.html").read_text())


def test_ids_are_unique_with_the_same_input_twice(tmp_path):
    page = report(tmp_path, *[media(utterance(0, 1, "joy", warnings=("no_face",)))] * 2)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_header_cells_have_a_scope_and_wide_parts_take_the_keyboard(tmp_path):
    page = report(tmp_path, media(utterance(0, 1, "joy")), failures=[("a.mp4", "broken")])
    assert all(attrs.get("scope") in ("row", "col") for attrs in page.attributes("th"))
    wide = [attrs for attrs in page.attributes("div") if attrs.get("class") == "wide"]
    assert wide
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in wide)
    assert page.attributes("html") == [{"lang": "en"}]
    assert len(page.attributes("h1")) == 1


def test_rows_tell_time_speaker_words_and_what_each_modality_says(tmp_path):
    spoken = utterance(1.25, 3.5, "anger", text="Stop it.", speaker="Monica", words="fear", top=0.9)
    page = report(tmp_path, media(spoken))
    row = page.text[page.text.index("Notes") :]
    for part in ("1.2–3.5", "Monica", "Stop it.", "anger 90%", "weight 50%", "absent", "fear 70%"):
        assert part in row


def test_face_and_words_that_differ_are_pointed_out(tmp_path):
    agreeing = utterance(0, 1, "joy", face="joy", words="joy")
    differing = utterance(1, 2, "joy", face="sadness", words="joy")
    faceless = utterance(2, 3, "joy", words="fear")
    page = report(tmp_path, media(agreeing, differing, faceless))
    assert page.text.count("Face (sadness) and words (joy) disagree.") == 1
    assert "Face and words disagree in 1 of 3." in page.text
    assert "disagree" not in report(tmp_path, media(agreeing, faceless)).text


def test_the_summary_shares_time_not_utterances(tmp_path):
    page = report(tmp_path, media(utterance(0, 6, "fear"), *[utterance(6, 7, "joy")] * 2))
    assert "3 utterances. Most time: fear 75%, joy 25%." in page.text


def test_the_summary_of_moments_counts_them(tmp_path):
    moments = [utterance(0, 0, name) for name in ("fear", "joy", "joy", "joy")]
    assert "joy 75%, fear 25%" in report(tmp_path, media(*moments)).text


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings_are_explained_where_they_occur(tmp_path, name):
    for_input = report(tmp_path, media(utterance(0, 1, "joy"), warnings=(name,)))
    for_utterance = report(tmp_path, media(utterance(0, 1, "joy", warnings=(name,))))
    assert for_input.text.count(WARNINGS[name]) == 1
    assert for_utterance.text.count(WARNINGS[name]) == 1
    assert WARNINGS[name] not in report(tmp_path, media(utterance(0, 1, "joy"))).text


def test_failures_are_listed_with_their_reasons(tmp_path):
    page = report(tmp_path, failures=[("a.mp4", "it is empty"), ("b.mp4", "it is a folder")])
    assert "a.mp4it is empty" in page.text
    assert "b.mp4it is a folder" in page.text
    assert "Emotion timelines of 2 inputs" in page.text


def test_an_input_without_utterances_says_so(tmp_path):
    assert "No utterance was found." in report(tmp_path, media()).text


def test_the_limits_are_always_stated(tmp_path):
    assert "Do not use it to decide anything about a person" in report(tmp_path).text


def test_the_templates_of_the_pages_are_package_data():
    root = Path(__file__).parents[2]
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    package = root / "avt_memocmt"
    globs = settings["package-data"]["avt_memocmt"]
    shipped = {file for pattern in globs for file in package.glob(pattern)}
    templates = {file for file in (package / "report" / "templates").rglob("*") if file.is_file()}
    assert templates
    assert templates <= shipped


def test_a_missing_folder_is_one_sentence(tmp_path):
    with pytest.raises(AvtError, match="cannot write"):
        write_report([], [], tmp_path / "nowhere" / "report.html")
