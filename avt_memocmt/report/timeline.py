"""The timeline figure: who felt what when, as an SVG that needs no library to draw or to read."""

from __future__ import annotations

import math
from collections import Counter

from avt_memocmt.emotions import COLOURS, EMOTIONS, UNCERTAIN
from avt_memocmt.inference.results import MediaPrediction, UtterancePrediction
from avt_memocmt.report.page import escaped
from avt_memocmt.wording import MODALITY_NAMES, clock, percent

# Lengths in SVG user units, about one pixel each on a wide screen.
WIDTH = 1000
LEFT = 92
RIGHT = WIDTH - 20
LANES_TOP = 30
LANE = 26
STACK_TOP = LANES_TOP + LANE * len(EMOTIONS) + 36
STACK = 132
WEIGHTS_TOP = STACK_TOP + STACK + 34
STRIP = 22
AXIS = WEIGHTS_TOP + STRIP * len(MODALITY_NAMES) + 6
HEIGHT = AXIS + 36

NARROWEST = 1.5
"""Width of the thinnest bar, so that a very short utterance can still be seen."""
CHARACTER = 6.3
"""Mean width of a character of the labels."""


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
    span = time_span(prediction)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="system-ui, sans-serif" font-size="11.5" fill="currentColor">',
        f"<title>Emotion timeline of {escaped(prediction.media)}</title>",
        f"<desc>{escaped(described(prediction))}</desc>",
        *_frame(),
        *_time_axis(span),
    ]
    for utterance in prediction.utterances:
        left, width = _extent(utterance, span)
        parts.append(f"<g><title>{escaped(_tooltip(utterance))}</title>")
        parts += [
            *_lane_bar(utterance, left, width),
            *_stack(utterance, left, width),
            *_weights(utterance, left, width),
        ]
        parts.append("</g>")
    if not prediction.utterances:
        parts.append(_text((LEFT + RIGHT) / 2, STACK_TOP + STACK / 2, "no utterances", "middle"))
    return "\n".join([*parts, "</svg>"])


def time_span(prediction: MediaPrediction) -> float:
    """Seconds that the figure covers; 0 for a still image."""
    return max([prediction.duration, *(u.end for u in prediction.utterances)], default=0.0)


def described(prediction: MediaPrediction) -> str:
    """The figure in one sentence, for those who cannot see it."""
    counts = Counter(utterance.emotion for utterance in prediction.utterances)
    listed = ", ".join(f"{count} {emotion}" for emotion, count in counts.most_common())
    number = len(prediction.utterances)
    noun = "utterance" if number == 1 else "utterances"
    span = time_span(prediction)
    where = f"over {clock(span)} seconds" if span < 60 else f"over {clock(span, 0)}"
    return f"{number} {noun} {where if span else 'in a still image'}: {listed or 'none'}."


def _extent(utterance: UtterancePrediction, span: float) -> tuple[float, float]:
    """Left edge and width of an utterance's bars."""
    if span <= 0:
        return LEFT, RIGHT - LEFT
    scale = (RIGHT - LEFT) / span
    width = max(NARROWEST, (utterance.end - utterance.start) * scale)
    return min(LEFT + utterance.start * scale, RIGHT - width), width


def _frame() -> list[str]:
    """Names of lanes and rows, and the lines they stand on."""
    parts = [
        _heading(LANES_TOP, "emotion of each utterance (filled height = confidence)"),
        _heading(STACK_TOP + 4, "probabilities of all seven"),
        _heading(WEIGHTS_TOP + 6, "weight of each modality"),
    ]
    for row, emotion in enumerate(EMOTIONS):
        base = LANES_TOP + LANE * (row + 1)
        parts.append(_line(LEFT, base, RIGHT, base, 0.18))
        parts.append(_text(LEFT - 8, base - 5, emotion, "end"))
        parts.append(_rect(14, base - 14, 10, 10, COLOURS[emotion]))
    for share in (0.0, 0.5, 1.0):
        y = STACK_TOP + STACK * (1 - share)
        parts.append(_line(LEFT, y, RIGHT, y, 0.18))
        parts.append(_text(LEFT - 8, y + 4, percent(share), "end"))
    for row, name in enumerate(MODALITY_NAMES.values()):
        base = WEIGHTS_TOP + STRIP * (row + 1)
        parts.append(_line(LEFT, base, RIGHT, base, 0.18))
        parts.append(_text(LEFT - 8, base - 4, name, "end"))
    return parts


def _time_axis(span: float) -> list[str]:
    parts = [_line(LEFT, AXIS, RIGHT, AXIS, 0.6)]
    if span <= 0:
        return [*parts, _text((LEFT + RIGHT) / 2, AXIS + 16, "still image", "middle")]
    step = tick_step(span)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    for index in range(int(span / step + 1e-9) + 1):
        x = LEFT + (RIGHT - LEFT) * index * step / span
        parts.append(_line(x, AXIS, x, AXIS + 4, 0.6))
        parts.append(_text(x, AXIS + 16, clock(index * step, decimals), "middle"))
    unit = "seconds" if span < 60 else "minutes:seconds" if span < 3600 else "hours:minutes:seconds"
    parts.append(_text((LEFT + RIGHT) / 2, AXIS + 31, unit, "middle"))
    return parts


def tick_step(span: float) -> float:
    """Seconds between two ticks: a round number that gives at most eleven of them."""
    magnitude = 10.0 ** math.floor(math.log10(span / 10))
    tens = [magnitude * factor for factor in (1, 2, 5, 10)]
    steps = tens if span < 100 else [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, *tens]
    return next(step for step in steps if span / step <= 10 + 1e-9)


def _lane_bar(utterance: UtterancePrediction, left: float, width: float) -> list[str]:
    base = LANES_TOP + LANE * (EMOTIONS.index(utterance.likeliest) + 1)
    height = (LANE - 2) * utterance.confidence
    colour = COLOURS[utterance.likeliest]
    bars = [_rect(left, base - LANE + 2, width, LANE - 2, colour, 0.22)]
    if utterance.emotion != UNCERTAIN:
        bars.append(_rect(left, base - height, width, height, colour))
    label = percent(utterance.confidence)
    if width < CHARACTER * len(label) + 4:
        return bars
    return [*bars, _text(left + width / 2, base - height - 3, label, "middle")]


def _stack(utterance: UtterancePrediction, left: float, width: float) -> list[str]:
    parts, top = [], float(STACK_TOP)
    for emotion, probability in zip(EMOTIONS, utterance.probabilities, strict=True):
        height = STACK * probability
        if height >= 0.2:
            parts.append(_rect(left, top, width, height, COLOURS[emotion]))
        if height >= 14 and width >= CHARACTER * len(emotion) + 8:
            ink = "#fff" if emotion == "sadness" else "#000"
            parts.append(_text(left + width / 2, top + height / 2 + 4, emotion, "middle", ink))
        top += height
    return parts


def _weights(utterance: UtterancePrediction, left: float, width: float) -> list[str]:
    parts = []
    for row, name in enumerate(MODALITY_NAMES):
        use = utterance.modalities.get(name)
        if use is not None and use.present:
            height = (STRIP - 3) * use.weight
            base = WEIGHTS_TOP + STRIP * (row + 1)
            parts.append(_rect(left, base - height, width, height, "currentColor", 0.6))
    return parts


def _tooltip(utterance: UtterancePrediction) -> str:
    name = f"{utterance.speaker}, " if utterance.speaker else ""
    times = f"{clock(utterance.start)} to {clock(utterance.end)}"
    words = f": {utterance.text}" if utterance.text else ""
    doubt = f"{UNCERTAIN}, " if utterance.emotion == UNCERTAIN else ""
    judged = f"{doubt}{utterance.likeliest} {percent(utterance.confidence)}"
    return f"{name}{times}, {judged}{words}"


def _heading(top: float, text: str) -> str:
    return f'<text x="{LEFT}" y="{top - 15:.1f}" font-weight="600" opacity="0.75">{text}</text>'


def _text(x: float, y: float, text: str, anchor: str, ink: str = "currentColor") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{ink}">{text}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, opacity: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="currentColor" opacity="{opacity}"/>'
    )


def _rect(
    x: float, y: float, width: float, height: float, colour: str, opacity: float = 1.0
) -> str:
    return (
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" '
        f'fill="{colour}" fill-opacity="{opacity}"/>'
    )
