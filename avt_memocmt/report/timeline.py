"""The timeline figure: who felt what when, as an SVG that needs no library to draw or to read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from itertools import accumulate

from avt_memocmt.emotions import EMOTIONS, UNCERTAIN
from avt_memocmt.inference.results import MediaPrediction, UtterancePrediction, speaker_names
from avt_memocmt.report.page import render
from avt_memocmt.report.people import media_span
from avt_memocmt.wording import MODALITY_NAMES, clock, percent


class Layout:
    """Where the figure's parts stand, in SVG user units, about one pixel each on a wide screen."""

    width = 1000
    left, right = 92, width - 20
    lanes_top, lane = 30, 26
    stack_top, stack = lanes_top + lane * len(EMOTIONS) + 36, 132
    weights_top, strip = stack_top + stack + 34, 22
    axis = weights_top + strip * len(MODALITY_NAMES) + 6
    height = axis + 36
    narrowest = 1.5  # bar, so that a very short utterance can still be seen
    character = 6.3  # mean width of one in the labels


def timeline_svg(prediction: MediaPrediction) -> str:
    """Draw the emotion timeline of one input.

    From top to bottom, over seconds: each utterance in the lane of its likeliest emotion, as high
    as its confidence, or unfilled where it is uncertain; the probabilities of all seven emotions,
    stacked; how much each modality counted. Lanes and rows carry their names, so that nothing
    depends on colour alone. Text and lines take the colour of the surrounding text (light and dark
    pages).

    Args:
        prediction: of any length; a still image (duration 0) fills the whole width.

    Returns:
        One `<svg>` element without scripts or references to anything outside.
    """
    span = media_span(prediction)
    scale = (Layout.right - Layout.left) / span if span > 0 else 0.0
    names = speaker_names(prediction)
    content = {
        "prediction": prediction,
        "at": Layout,
        "span": span,
        "ticks": [(Layout.left + time * scale, label) for time, label in _ticks(span)],
        "unit": _unit(span),
        "description": _described(prediction, span),
        "bars": [
            (u, *_extent(u, span), _stacked(u), _tooltip(u, names)) for u in prediction.utterances
        ],
    }
    return render("timeline.svg.j2", content)


def lane_axis(prediction: MediaPrediction) -> tuple[str, list[tuple[float, str]]]:
    """The time axis under the lanes of people, which may be as narrow as a phone.

    Returns:
        The unit, and place (percent of the lane) and label of each tick.
    """
    span = media_span(prediction)
    return _unit(span), [(100 * time / span, label) for time, label in _ticks(span, most=5)]


def _described(prediction: MediaPrediction, span: float) -> str:
    """The figure in one sentence, for those who cannot see it."""
    counts = Counter(utterance.emotion for utterance in prediction.utterances)
    listed = ", ".join(f"{count} {emotion}" for emotion, count in counts.most_common())
    number = len(prediction.utterances)
    noun = "utterance" if number == 1 else "utterances"
    where = f"over {clock(span)} seconds" if span < 60 else f"over {clock(span, 0)}"
    return f"{number} {noun} {where if span else 'in a still image'}: {listed or 'none'}."


def _extent(utterance: UtterancePrediction, span: float) -> tuple[float, float]:
    """Left edge and width of an utterance's bars."""
    room = Layout.right - Layout.left
    if span <= 0:
        return Layout.left, room
    width = max(Layout.narrowest, (utterance.end - utterance.start) * room / span)
    return min(Layout.left + utterance.start * room / span, Layout.right - width), width


def _unit(span: float) -> str:
    """What the numbers on the time axis are."""
    if span <= 0:
        return "still image"
    return "seconds" if span < 60 else "minutes:seconds" if span < 3600 else "hours:minutes:seconds"


def _ticks(span: float, most: int = 10) -> list[tuple[float, str]]:
    """Seconds and label of each tick of the time axis; none for a still image."""
    if span <= 0:
        return []
    step = tick_step(span, most)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [
        (number * step, clock(number * step, decimals))
        for number in range(int(span / step + 1e-9) + 1)
    ]


def tick_step(span: float, most: int = 10) -> float:
    """Seconds between two ticks: a round number that cuts the span into at most that many parts."""
    magnitude = 10.0 ** math.floor(math.log10(span / most))
    tens = [magnitude * factor for factor in (1, 2, 5, 10)]
    steps = tens if span < 100 else [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, *tens]
    return next(step for step in steps if span / step <= most + 1e-9)


def _stacked(utterance: UtterancePrediction) -> list[tuple[str, float, float]]:
    """Name, top and height of each emotion in the stack of an utterance."""
    heights = [Layout.stack * probability for probability in utterance.probabilities]
    tops = accumulate(heights[:-1], initial=float(Layout.stack_top))
    return list(zip(EMOTIONS, tops, heights, strict=True))


def _tooltip(utterance: UtterancePrediction, names: Mapping[str, str]) -> str:
    speaker = utterance.speaker
    name = f"{names.get(speaker, speaker)}, " if speaker else ""
    times = f"{clock(utterance.start)} to {clock(utterance.end)}"
    words = f": {utterance.text}" if utterance.text else ""
    doubt = f"{UNCERTAIN}, " if utterance.emotion == UNCERTAIN else ""
    judged = f"{doubt}{utterance.likeliest} {percent(utterance.confidence)}"
    return f"{name}{times}, {judged}{words}"
