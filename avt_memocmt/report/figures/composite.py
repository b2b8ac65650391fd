"""One decision on one time axis: faces, sound and words, with what speaks for the class in each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from avt_memocmt.explainability.explanation import UtteranceExplanation
from avt_memocmt.explainability.integrated_gradients import Attribution
from avt_memocmt.preprocessing.video_preprocess import evenly_spaced
from avt_memocmt.report.figures.common import (
    add_picture,
    headline,
    say_absent,
    styled,
    warning_lines,
)
from avt_memocmt.report.figures.faces import overlay
from avt_memocmt.report.figures.modalities import draw_modalities
from avt_memocmt.report.figures.time_panels import (
    LANE,
    draw_sound,
    draw_sound_scores,
    draw_words,
    word_lanes,
)
from avt_memocmt.wording import clock, signed

# Inches.
_WIDTH = 12.0
_TIME_WIDTH = 10.5  # of the panels over time, about
_FACES, _SOUND, _SUMS, _SHARES = 1.6, 1.7, 0.8, 1.3
_TITLES = 2.2
_THUMBNAIL = 0.95

_ABSENT = 0.45  # height of a panel whose modality is absent

_MOST_FACES = 10
_KEY = "orange and + speak for it, purple and − against it"
_LINE = 130  # characters of a line of warnings

Array = NDArray[np.float64]


@styled
def composite_figure(explanation: UtteranceExplanation) -> Figure:
    """Faces, sound and words of an utterance over its seconds, and how much each modality counted.

    From top to bottom: faces with Grad-CAM, a spectrogram with the attribution of each band and
    stretch, its sums over the bands, the words at the times at which they are said, and three
    measures of the modalities: attention rollout, the gate, and leave-one-out. Numbers and signs
    stand beside the colours. A panel whose modality is absent says so.
    """
    seconds = _seconds(explanation)
    spans = _word_spans(explanation)
    lanes = word_lanes(explanation.words, spans, seconds / _TIME_WIDTH)
    heights = _heights(explanation, max(lanes, default=0) + 1)
    figure = Figure(figsize=(_WIDTH, sum(heights) + _TITLES), layout="constrained")
    lines = [headline(explanation), _KEY, *warning_lines(explanation, _LINE)]
    figure.suptitle("\n".join(lines))
    grid = figure.add_gridspec(5, 1, height_ratios=heights)
    faces = figure.add_subplot(grid[0])
    sound, sums, words = (figure.add_subplot(grid[row], sharex=faces) for row in (1, 2, 3))
    _draw_faces(faces, explanation)
    _draw_sound(figure, sound, sums, explanation)
    _draw_words(words, explanation, spans, lanes)
    _finish_time_axis((faces, sound, sums), words, explanation)
    lowest = grid[4].subgridspec(1, 3)
    draw_modalities([figure.add_subplot(lowest[column]) for column in range(3)], explanation)
    return figure


def _heights(explanation: UtteranceExplanation, lanes: int) -> list[float]:
    """Heights of the panels in inches, from top to bottom."""
    words = LANE * (lanes + 1.5)
    wanted = [("visual", _FACES), ("audio", _SOUND), ("audio", _SUMS), ("text", words)]
    return [h if m in explanation.attributions else _ABSENT for m, h in wanted] + [_SHARES]


def _is_still(explanation: UtteranceExplanation) -> bool:
    utterance = explanation.turn.utterance
    return utterance.end == utterance.start


def _seconds(explanation: UtteranceExplanation) -> float:
    """Length of the time axis; 1 for a still picture, which has none."""
    utterance = explanation.turn.utterance
    return utterance.end - utterance.start or 1.0


def _word_spans(explanation: UtteranceExplanation) -> Array:
    """When each word is said, else an even share of the time axis, seconds [words, 2]."""
    if explanation.aligned is not None:
        return explanation.aligned.astype(np.float64)
    edges = np.linspace(0, _seconds(explanation), len(explanation.words) + 1)
    return np.stack([edges[:-1], edges[1:]], axis=1)


def _method(attribution: Attribution) -> str:
    """The method, its baseline, and by how much the scores miss their sum."""
    if attribution.completeness is None or attribution.change is None:
        return attribution.method
    return (
        f"{attribution.method}; the scores sum to {signed(float(attribution.scores.sum()))} of the "
        f"logit (error {signed(attribution.completeness)})\n"
        f"compared with {attribution.baseline}"
    )


def _draw_faces(panel: Axes, explanation: UtteranceExplanation) -> None:
    attribution = explanation.attributions.get("visual")
    panel.set_yticks([])
    if attribution is None:
        say_absent(panel, ["visual"])
        return
    utterance = explanation.turn.utterance
    seconds, peak = _seconds(explanation), float(attribution.scores.max(initial=0.0))
    chosen = evenly_spaced(list(zip(utterance.faces, attribution.scores, strict=True)), _MOST_FACES)
    for place, (face, scores) in enumerate(chosen):
        aligned = replace(face, face=None)  # the crop is the whole picture
        add_picture(
            panel,
            overlay(face.crop, aligned, scores, peak),
            _THUMBNAIL,
            xy=(min(max(0.0, face.time - utterance.start), seconds), 0),
            xycoords=("data", "axes fraction"),
            xybox=((place + 0.5) / len(chosen), 0.6),
            boxcoords="axes fraction",
            arrowprops=None if _is_still(explanation) else {"arrowstyle": "-", "linewidth": 0.6},
        )
    share = f"{len(chosen)} of {len(utterance.faces)} faces, lightest where most for the class"
    panel.set_title(f"face: {attribution.method}; {share}")


def _draw_sound(figure: Figure, panel: Axes, sums: Axes, explanation: UtteranceExplanation) -> None:
    attribution, samples = explanation.attributions.get("audio"), explanation.turn.utterance.samples
    if attribution is None or samples is None:
        for empty in (panel, sums):
            say_absent(empty, ["audio"])
        return
    image = draw_sound(panel, samples, attribution.scores)
    figure.colorbar(image, ax=panel, pad=0.01)
    draw_sound_scores(sums, attribution.scores)
    panel.set_title(f"audio: {_method(attribution)}")


def _draw_words(
    panel: Axes, explanation: UtteranceExplanation, spans: Array, lanes: list[int]
) -> None:
    attribution = explanation.attributions.get("text")
    if attribution is None:
        say_absent(panel, ["text"])
        return
    draw_words(panel, explanation.words, spans, attribution.scores, lanes)
    timed = "at the times at which they are said (forced alignment)"
    if explanation.aligned is None:
        timed = "spread evenly: nothing tells when they are said"
    panel.set_title(f"words, {timed}: {_method(attribution)}")


def _finish_time_axis(
    upper: tuple[Axes, ...], lowest: Axes, explanation: UtteranceExplanation
) -> None:
    """Label the shared time axis, below its lowest panel, with times of the recording."""
    start, seconds = explanation.turn.utterance.start, _seconds(explanation)
    ticks = MaxNLocator(12).tick_values(start, start + seconds)
    inside = [float(time) for time in ticks if start <= time <= start + seconds]
    lowest.set_xticks([time - start for time in inside], [clock(time, 2) for time in inside])
    lowest.set_xlim(0, seconds)
    lowest.set_xlabel("seconds in the recording")
    for panel in upper:
        panel.tick_params(axis="x", labelbottom=False, bottom=False)
    if _is_still(explanation):
        lowest.set_xticks([])
        lowest.set_xlabel("a still picture: no time")
