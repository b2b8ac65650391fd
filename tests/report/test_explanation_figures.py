"""Figures and overlays of explanations: where things lie, what is said, and what is absent."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from footage import Spoken
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox
from matplotlib.text import Text
from media_factory import write_media
from PIL import Image

from avt_memocmt import EmotionRecognizer
from avt_memocmt.errors import AvtError
from avt_memocmt.explainability.attention_visualization import turn_axis
from avt_memocmt.explainability.explanation import (
    ExplainingRecognizer,
    ExplainSettings,
    UtteranceExplanation,
)
from avt_memocmt.models.cross_modal_transformer import DIRECTIONS
from avt_memocmt.preprocessing.face_alignment import TEMPLATE, crop_face
from avt_memocmt.preprocessing.face_boxes import Face
from avt_memocmt.preprocessing.face_tracker import FaceObservation
from avt_memocmt.preprocessing.transcripts import Cue
from avt_memocmt.report.figures.attention import attention_figure
from avt_memocmt.report.figures.common import figure_bytes, headline
from avt_memocmt.report.figures.composite import composite_figure
from avt_memocmt.report.figures.faces import frames_at, overlay, write_overlay_video
from avt_memocmt.report.figures.modalities import dialogue_strip
from avt_memocmt.report.figures.time_panels import ROWS, mel, spectrogram, word_colours, word_lanes
from avt_memocmt.wording import clock, signed

SIDE = 96


@pytest.fixture(scope="module")
def explained(recognizer: EmotionRecognizer, talking_clip: Spoken) -> UtteranceExplanation:
    """A real clip with sound, face and words."""
    made = ExplainingRecognizer(recognizer, ExplainSettings())
    made.predict(talking_clip.path, [Cue(talking_clip.words)])
    return made.reader.explanations[0]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def without(explanation: UtteranceExplanation, modality: str) -> UtteranceExplanation:
    """The explanation of an utterance that lacks one modality."""

    def left(given):
        return {m: value for m, value in given.items() if m != modality}

    attention = explanation.attention
    kept = {pair: w for pair, w in attention.maps.items() if modality not in pair}
    return replace(
        explanation,
        words=() if modality == "text" else explanation.words,
        aligned=None if modality == "text" else explanation.aligned,
        attributions=left(explanation.attributions),
        leave_one_out=left(explanation.leave_one_out),
        attention=replace(
            attention,
            axes=left(attention.axes),
            maps=kept,
            gate=left(attention.gate),
            contributions=left(attention.contributions),
        ),
    )


def turned_face() -> Face:
    """A face that lies aslant in a picture of 300 x 400 pixels."""
    angle, centre = np.deg2rad(25), np.array([230.0, 140.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = ((TEMPLATE - 0.5) * 120 @ turn.T + centre).astype(np.float32)
    return Face((170.0, 80.0, 290.0, 200.0), landmarks, 1.0)


@pytest.mark.parametrize("usable", [True, False], ids=["landmarks", "box"])
@pytest.mark.parametrize("cell", [(0, 5), (2, 1), (4, 4)])
def test_heat_lies_where_the_face_was_cut_out(usable: bool, cell: tuple[int, int]) -> None:
    face = turned_face()
    if not usable:
        face = replace(face, landmarks=np.zeros((5, 2), np.float32))
    frame = np.full((300, 400, 3), 90, np.uint8)
    seen = FaceObservation(0.0, face, crop_face(frame, face), 1, 0)
    scores = np.zeros((6, 6))
    cold = overlay(frame, seen, scores, 0.0)
    scores[cell] = 3.0
    heated = overlay(frame, seen, scores, 3.0)
    change = np.abs(crop_face(heated, face, SIDE) - crop_face(cold, face, SIDE).astype(float))
    heat = change.sum(axis=2)
    rows, columns = np.indices(heat.shape) + 0.5
    middle = [(places * heat).sum() / heat.sum() for places in (rows, columns)]
    # Beside the border, half of a cell's tail is cut off, which draws the middle inwards.
    expected = (np.array(cell) + 0.5) * SIDE / 6
    assert middle == pytest.approx(expected, abs=SIDE / 6 / 4)
    assert (overlay(frame, seen, scores, 3.0)[250:, :100] == 90).all()


def test_a_still_that_is_a_face_is_heated_as_a_whole() -> None:
    frame = np.full((60, 120, 3), 90, np.uint8)
    seen = FaceObservation(0.0, None, np.zeros((112, 112, 3), np.uint8), 0, 0)
    scores = np.array([[0.0, 0.0], [0.0, 1.0]])
    heated = overlay(frame, seen, scores, 1.0)
    assert heated.shape == frame.shape
    changed = np.abs(heated.astype(int) - 90).sum(axis=2)
    assert changed[50:, 110:].min() > 50
    assert changed[:10, :20].max() == 0
    assert (overlay(frame, seen, scores, 0.0) == frame).all()


def test_overlays_of_a_clip_lie_on_its_faces(
    explained: UtteranceExplanation, talking_clip: Spoken
) -> None:
    faces = explained.turn.utterance.faces
    clip = talking_clip.path
    frames = list(frames_at(clip, [face.time for face in faces]))
    assert [frame.time for frame in frames] == [face.time for face in faces]
    for frame, seen in zip(frames, faces, strict=True):
        assert (crop_face(frame.image, seen.face) == seen.crop).all()


def test_frames_at_are_those_that_are_shown_then(tmp_path: Path) -> None:
    shades = [20, 60, 100, 140]
    clip = write_media(tmp_path / "v.mp4", picture_times=[0.0, 0.4, 0.8, 1.2], shades=shades)
    times = [0.0, 0.39, 0.4, 0.4, 1.1, 5.0]
    found = list(frames_at(clip, times))
    assert [frame.time for frame in found] == times
    seen = [int(frame.image[-4, -4].mean()) for frame in found]
    assert seen == pytest.approx([20, 20, 60, 60, 100, 140], abs=6)
    assert list(frames_at(clip, [])) == []


def test_the_overlay_video_plays_every_picture_at_its_rate(tmp_path: Path) -> None:
    path = tmp_path / "overlay.mp4"
    shades = [30, 90, 150, 210, 60]
    write_overlay_video(path, (np.full((61, 83, 3), s, np.uint8) for s in shades), 4.0)
    with av.open(str(path)) as container:
        stream = container.streams[0]
        assert isinstance(stream, VideoStream)
        frames = [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(stream)]
    assert [time for time, _ in frames] == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
    assert {image.shape for _, image in frames} == {(60, 82, 3)}
    assert [image.mean() for _, image in frames] == pytest.approx(shades, abs=4)
    assert [file.name for file in tmp_path.iterdir()] == ["overlay.mp4"]


def test_a_video_needs_a_picture_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        write_overlay_video(tmp_path / "v.mp4", [], 4.0)
    with pytest.raises(AvtError, match="gone"):
        write_overlay_video(tmp_path / "gone" / "v.mp4", [np.zeros((8, 8, 3), np.uint8)], 4.0)


def test_six_maps_with_words_seconds_and_faces(explained: UtteranceExplanation) -> None:
    figure = attention_figure(explained)
    panels = figure.axes[: len(DIRECTIONS)]
    for panel, pair in zip(panels, DIRECTIONS, strict=True):
        (image,) = panel.images
        assert (image.get_array() == explained.attention.rollout[pair]).all()
    words_from_sound = panels[DIRECTIONS.index(("text", "audio"))]
    assert [t.get_text() for t in words_from_sound.get_yticklabels()] == [
        "state",
        *explained.words,
    ]
    assert all(t.get_text().endswith(" s") for t in words_from_sound.get_xticklabels()[1:])
    pictured = {pair: p.findobj(AnnotationBbox) for pair, p in zip(DIRECTIONS, panels, strict=True)}
    assert [bool(found) for found in pictured.values()] == ["visual" in p for p in DIRECTIONS]
    assert any("attention rollout" in text for text in texts(figure))


def test_times_in_figures_are_those_of_the_recording(explained: UtteranceExplanation) -> None:
    turn = explained.turn
    begins, ends = 100 + turn.utterance.start, 100 + turn.utterance.end
    late = replace(turn, utterance=replace(turn.utterance, start=begins, end=ends))
    for modality, tenths in (("audio", 1), ("visual", 2)):
        before = turn_axis(turn, modality, None).labels[1].removesuffix(" s")
        now = turn_axis(late, modality, None).labels[1]
        assert now == f"{clock(100 + float(before), tenths)} s"
    ticks = composite_figure(replace(explained, turn=late)).axes[3]
    shown = [text.get_text() for text in ticks.get_xticklabels()]
    places = ticks.get_xticks()
    assert shown == [clock(begins + place, 2) for place in places]
    assert places.min() >= 0
    assert places.max() <= ends - begins


def test_a_layer_and_a_head_can_be_chosen(explained: UtteranceExplanation) -> None:
    for place, pair in enumerate(DIRECTIONS):
        maps = explained.attention.maps[pair]
        expected = {
            (1, None): maps[1].mean(axis=0),
            (None, 2): maps[:, 2].mean(axis=0),
            (0, 3): maps[0, 3],
        }
        if place in (0, 5):
            for (layer, head), weights in expected.items():
                figure = attention_figure(explained, layer=layer, head=head)
                assert np.allclose(figure.axes[place].images[0].get_array(), weights)
    assert "layer 1, head 4" in attention_figure(explained, layer=0, head=3).get_suptitle()
    for wrong in ({"layer": 2}, {"head": -1}):
        with pytest.raises(ValueError, match="is none of the"):
            attention_figure(explained, **wrong)


@pytest.mark.parametrize(
    ("modality", "said"), [("audio", "no sound"), ("visual", "no face"), ("text", "no text")]
)
def test_what_is_absent_says_so(explained: UtteranceExplanation, modality: str, said: str) -> None:
    lacking = without(explained, modality)
    maps = attention_figure(lacking)
    assert texts(maps).count(said) == 4
    assert sum(len(panel.images) for panel in maps.axes[: len(DIRECTIONS)]) == 2
    assert not [text for text in texts(composite_figure(explained)) if said in text]
    drawn = composite_figure(lacking)
    assert len([text for text in texts(drawn) if text.strip() == said]) >= 4
    heights = [
        [bar.get_height() for bar in panel.patches] for panel in dialogue_strip([lacking]).axes
    ]
    assert 0 in heights[0]


def test_the_composite_says_scores_times_and_warnings(explained: UtteranceExplanation) -> None:
    figure = composite_figure(explained)
    said = texts(figure)
    for word, score in zip(explained.words, explained.attributions["text"].scores, strict=True):
        assert f"{word}\n{signed(float(score))}" in said
    assert any("forced alignment" in text for text in said)
    assert headline(explained) in figure.get_suptitle()
    faces, sound, sums, words = figure.axes[:4]
    assert len(faces.findobj(AnnotationBbox)) == len(explained.turn.utterance.faces)
    assert {panel.get_xlim() for panel in (faces, sound, sums, words)} == {words.get_xlim()}
    bars = [bar.get_height() for bar in sums.patches]
    assert bars == pytest.approx(explained.attributions["audio"].scores.sum(axis=0))
    assert explained.aligned is not None
    placed = [(bar.get_x(), bar.get_width()) for bar in words.patches]
    assert np.allclose(placed, [(a, b - a) for a, b in explained.aligned])
    prediction = replace(explained.prediction, warnings=("transcript_mismatch",))
    unsure = replace(explained, aligned=None, prediction=prediction, emotion="fear")
    drawn = composite_figure(unsure)
    assert any("spread evenly" in text for text in texts(drawn))
    assert "The given words do not seem" in drawn.get_suptitle()
    assert f"decided: {prediction.likeliest}" in drawn.get_suptitle()


def test_the_strip_stacks_contributions_over_effects(explained: UtteranceExplanation) -> None:
    silent = replace(without(explained, "audio"), index=4, emotion="joy")
    figure = dialogue_strip([explained, silent])
    upper, lower = figure.axes
    assert [t.get_text() for t in upper.get_xticklabels()] == [f"1\n{explained.emotion}", "5\njoy"]
    shares = [bar.get_height() for bar in upper.containers[0]]
    assert shares == pytest.approx([explained.attention.contributions["audio"], 0.0])
    tops = [bar.get_y() + bar.get_height() for bar in upper.containers[-1]]
    assert tops[0] == pytest.approx(1.0)
    effects = [[bar.get_height() for bar in bars] for bars in lower.containers]
    both = [[e] * 2 for e in explained.leave_one_out.values()]
    assert effects == [both[0][:1], *both[1:]]


def test_files_are_the_same_whenever_they_are_written(explained: UtteranceExplanation) -> None:
    for format in ("png", "svg"):
        one, other = (figure_bytes(dialogue_strip([explained]), format) for _ in range(2))
        assert one == other
    with Image.open(io.BytesIO(figure_bytes(composite_figure(explained), "png"))) as picture:
        assert picture.size[0] == 1440
        assert len(np.unique(np.asarray(picture.convert("L")))) > 100


def test_words_of_any_kind_are_drawn_as_they_are(explained: UtteranceExplanation) -> None:
    words = ("$x_", "$5^", "\\frac", "好", "%", "a" * 60)
    strange = replace(explained, words=words)
    axes = dict(strange.attention.axes)
    axes["text"] = replace(axes["text"], labels=("state", *words))
    strange = replace(strange, attention=replace(strange.attention, axes=axes))
    for figure in (composite_figure(strange), attention_figure(strange)):
        assert figure_bytes(figure, "svg").startswith(b"<?xml")
    assert any(text.startswith("$x_\n") for text in texts(composite_figure(strange)))


def test_labels_of_words_never_overlap_and_strong_scores_are_dark() -> None:
    words = ["a", "considerably", "b", "c", "longer", "d"]
    spans = np.stack([np.arange(6), np.arange(6) + 1], axis=1) * 0.1
    lanes = word_lanes(words, spans, seconds_per_inch=0.3)
    assert lanes[0] == 0
    assert len(set(lanes)) > 2
    assert word_lanes(words, spans * 100, seconds_per_inch=0.3) == [0] * 6
    colours = word_colours(np.array([-2.0, 0.0, 2.0]))
    assert [ink for _, ink in colours] == ["#ffffff", "#000000", "#ffffff"]
    assert len({shade for shade, _ in colours}) == 3


def test_a_tone_is_one_row_of_the_spectrogram() -> None:
    time = np.arange(16_000) / 16_000
    found = spectrogram(np.sin(2 * np.pi * 2000 * time).astype(np.float32))
    assert found.max() == 0
    loudest = (found[:, 50].argmax() + 0.5) / ROWS
    assert loudest == pytest.approx(float(mel(2000) / mel(8000)), abs=1 / ROWS)
    assert spectrogram(np.zeros(500, np.float32)).max() <= 0
    assert mel(np.array([0.0, 1000.0, 6400.0])) == pytest.approx([0, 15, 42])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0289, "+0.029"), (-1.234, "−1.2"), (0.0, "+0.0"), (-12.6, "−13"), (-3e-7, "+0.0")],
)
def test_scores_carry_their_sign(value: float, text: str) -> None:
    assert signed(value) == text
