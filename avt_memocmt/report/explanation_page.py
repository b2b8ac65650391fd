"""One explained utterance as a section of the page."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.explainability.explanation import Checks, MediaExplanation, UtteranceExplanation
from avt_memocmt.explainability.integrated_gradients import Attribution
from avt_memocmt.files import write_atomically
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.report.explanation_sentences import absent, summary
from avt_memocmt.report.figures.common import signed
from avt_memocmt.report.figures.time_panels import word_colours
from avt_memocmt.report.page import POLICY, data_uri, escaped, html_page
from avt_memocmt.report.prediction_page import (
    LIMITS_SECTION,
    alone,
    glossary,
    judgement,
    media_section,
    warning_text,
)
from avt_memocmt.report.style import EXPLANATION_STYLE, STYLE
from avt_memocmt.report.texts import (
    CHECKS,
    FEWER_FRAMES,
    FIGURES,
    FRAMES,
    LOGIT,
    METHODS,
    NOT_CHECKED,
)
from avt_memocmt.wording import MODALITY_NAMES, clock, percent

MOST_FRAMES = 12
"""Pictures shown of one utterance."""


@dataclass(frozen=True)
class UtterancePictures:
    """What is shown of one utterance.

    Attributes:
        composite: PNG of the figure with one time axis.
        attention: PNG of the attention maps.
        frames: JPEG of each face that was read, in its picture, in order of time.
    """

    composite: bytes
    attention: bytes
    frames: tuple[bytes, ...]


def utterance_section(found: UtteranceExplanation, pictures: UtterancePictures) -> str:
    """The section of one utterance: the answer, how far to trust it, then what it rests on."""
    prediction, name = found.prediction, f"utterance-{found.index + 1}"
    probability = prediction.probabilities[EMOTIONS.index(found.emotion)]
    times = "still image"
    if prediction.end > prediction.start:
        times = f"{clock(prediction.start)}–{clock(prediction.end)} s"
    sentences = "".join(f"<p>{escaped(text)}</p>" for text in summary(found))
    return "\n".join(
        [
            f'<section class="explained" aria-labelledby="{name}">',
            f'<h3 id="{name}">Utterance {found.index + 1}, {times}: why {found.emotion}?</h3>',
            judgement(found.emotion, probability, "main"),
            f'<div class="why">{sentences}</div>',
            _warnings(found),
            _checks(found),
            _player(found),
            _transcript(found),
            _frames(found, pictures.frames),
            figure(pictures.composite, f"Utterance {found.index + 1}", "composite"),
            _modalities(found),
            _attributions(found),
            figure(pictures.attention, f"Attention of utterance {found.index + 1}", "attention"),
            _past(found),
            "</section>",
        ]
    )


def _warnings(found: UtteranceExplanation) -> str:
    notes = [warning_text(name) for name in found.prediction.warnings]
    notes += [f"No {name}: nothing is attributed to it." for name in absent(found)]
    return f"<ul>{''.join(f'<li>{note}</li>' for note in notes)}</ul>" if notes else ""


def _player(found: UtteranceExplanation) -> str:
    samples = found.turn.utterance.samples
    if samples is None:
        return ""
    return (
        f'<audio controls preload="none" aria-label="Sound of utterance {found.index + 1}" '
        f'src="{data_uri("audio/wav", _wav(samples))}"></audio>'
    )


def _wav(samples: NDArray[np.float32]) -> bytes:
    """16-bit WAV of float32 [n] in [-1, 1]."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def _transcript(found: UtteranceExplanation) -> str:
    if "text" not in found.attributions:
        return ""
    scores = found.attributions["text"].scores
    marks = zip(found.words, scores.tolist(), word_colours(scores), strict=True)
    items = "".join(
        f'<li style="background:{shade};color:{ink}"><bdi>{escaped(word)}</bdi>'
        f"<span>{signed(score)}</span></li>"
        for word, score, (shade, ink) in marks
    )
    return f'<h4>Words, with what each adds to the logit</h4><ol class="words">{items}</ol>'


def _frames(found: UtteranceExplanation, frames: tuple[bytes, ...]) -> str:
    if not frames:
        return ""
    attribution = found.attributions["visual"]
    heat = attribution.scores.sum(axis=(1, 2))
    shares = heat / (heat.sum() or 1.0)
    strongest = np.sort(np.argsort(-shares, kind="stable")[:MOST_FRAMES])
    items = []
    for place in strongest:
        text = f"{clock(found.turn.utterance.faces[place].time, 2)} s · {percent(shares[place])}"
        source = data_uri("image/jpeg", frames[place])
        items.append(f'<li><img alt="Face at {text}" src="{source}">{text}</li>')
    caption = FRAMES.format(method=attribution.method, emotion=found.emotion)
    if len(frames) > len(strongest):
        caption += FEWER_FRAMES.format(shown=len(strongest), read=len(frames))
    return f'<h4>Faces</h4><ol class="frames">{"".join(items)}</ol><p class="soft">{caption}</p>'


def figure(png: bytes, title: str, kind: str) -> str:
    """A picture inside the page, with the caption of its kind."""
    caption = FIGURES[kind]
    source = data_uri("image/png", png)
    return (
        f'<figure><div class="wide" tabindex="0" role="region" aria-label="{title}">'
        f'<img alt="{title}. {caption}" src="{source}"></div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _modalities(found: UtteranceExplanation) -> str:
    titles = ("Modality", "On its own it says", "Leave one out", "Attention rollout", "Gate")
    rows = "".join(
        _row(name, _modality_cells(found, m) if m in found.attributions else ("absent",) * 4)
        for m, name in MODALITY_NAMES.items()
    )
    return _table("How much each modality counted", titles, rows)


def _modality_cells(found: UtteranceExplanation, m: str) -> tuple[str, ...]:
    opinion = found.prediction.modalities[m].probabilities
    return (
        judgement(*alone(opinion), "") if opinion else "",
        signed(found.leave_one_out[m]),
        percent(found.attention.contributions[m]),
        percent(found.attention.gate[m]),
    )


def _attributions(found: UtteranceExplanation) -> str:
    titles = ("Modality", "Method", "Compared with", "Change of the logit", "Error of the sum")
    rows = "".join(
        _row(MODALITY_NAMES[m], _attribution_cells(attribution))
        for m, attribution in found.attributions.items()
    )
    return _table("How the parts of each modality were explained", titles, rows)


def _attribution_cells(attribution: Attribution) -> tuple[str, ...]:
    if attribution.change is None or attribution.completeness is None:
        return (attribution.method, "nothing", "", "")
    return (
        attribution.method,
        attribution.baseline,
        signed(attribution.change),
        signed(attribution.completeness),
    )


def _past(found: UtteranceExplanation) -> str:
    """What the Temporal Transformer read of the dialogue, mean over its layers and heads."""
    turns = found.attention.turns
    if not turns.size or turns.shape[2] < 2:
        return ""
    shares = turns.mean(axis=(0, 1))
    first = found.index + 2 - len(shares)
    listed = ", ".join(
        f"utterance {number} {percent(share)}" for number, share in enumerate(shares, first)
    )
    return f"<p>Attention over the dialogue so far, itself included: {listed}.</p>"


def _checks(found: UtteranceExplanation) -> str:
    if not found.checks:
        return f'<p class="soft">{NOT_CHECKED}</p>'
    titles = ("Modality", "Deletion gain", "Insertion gain", "Verdict", "Shuffled weights")
    rows = "".join(
        _row(MODALITY_NAMES[m], _check_cells(checks)) for m, checks in found.checks.items()
    )
    return _table("Checks of the explanations", (*titles, "Small changes"), rows)


def _check_cells(checks: Checks) -> tuple[str, ...]:
    gains = {"deletion": checks.curves.deletion_gain, "insertion": checks.curves.insertion_gain}
    beaten = [name for name, gain in gains.items() if gain > 0]
    verdict = "better than chance" if beaten else "no better than chance"
    if len(beaten) == 1:
        verdict += f" by {beaten[0]} alone"
    shuffled = ", ".join(
        f"{stage.replace('_', ' ')} {signed(value)}" for stage, value in checks.randomised.items()
    )
    shown = (signed(gain) for gain in gains.values())
    return (*shown, verdict, shuffled, signed(checks.stability))


def _table(caption: str, titles: tuple[str, ...], rows: str) -> str:
    heads = "".join(f'<th scope="col">{title}</th>' for title in titles)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{caption}"><table>'
        f"<caption>{caption}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(name: str, cells: tuple[str, ...]) -> str:
    columns = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr><th scope="row">{name}</th>{columns}</tr>'


EXPLANATION_POLICY = f"{POLICY}; img-src data:; media-src data:"
"""As that of the report; pictures and sound lie inside the page."""


def write_explanation_report(
    explanation: MediaExplanation,
    pictures: Sequence[UtterancePictures],
    strip: bytes | None,
    path: Path,
) -> None:
    """Write one self-contained HTML page: no scripts, no network.

    Args:
        explanation: of one input.
        pictures: of each explained utterance.
        strip: PNG of the contributions over the dialogue; None where one utterance is explained.
        path: of the page; appears whole or not at all.

    Raises:
        AvtError: the folder is missing or cannot be written.
    """
    prediction = explanation.prediction
    page = html_page(
        f"Emotions explained: {prediction.media}",
        [
            "<header><h1>Emotions explained</h1></header>",
            "<main>",
            media_section(1, prediction),
            _contents(explanation),
            figure(strip, "Dialogue", "strip") if strip else "",
            *(
                utterance_section(found, shown)
                for found, shown in zip(explanation.utterances, pictures, strict=True)
            ),
            glossary([prediction]),
            _methods(any(found.checks for found in explanation.utterances)),
            LIMITS_SECTION,
            "</main>",
        ],
        EXPLANATION_POLICY,
        STYLE + EXPLANATION_STYLE,
    )
    write_atomically(path, page.encode("utf-8"))


def _contents(explanation: MediaExplanation) -> str:
    """Links to the explained utterances, and how to ask for others."""
    count, explained = len(explanation.prediction.utterances), explanation.utterances
    links = "".join(
        f'<li><a href="#utterance-{number}">Utterance {number}: why {found.emotion}?</a></li>'
        for number, found in ((found.index + 1, found) for found in explained)
    )
    links += '<li><a href="#methods">How to read the numbers, and what they cannot say</a></li>'
    text = f"Explained: {len(explained)} of {count}."
    if len(explained) < count:
        text += f" --utterances asks for others, by their numbers from 1 to {count}."
    return f'<nav aria-label="Explained utterances"><p>{text}</p><ul>{links}</ul></nav>'


def _methods(checked: bool) -> str:
    texts = METHODS | CHECKS if checked else METHODS
    entries = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in texts.items())
    return (
        f'<section id="methods"><h2>How to read this</h2><p>{LOGIT}</p><dl>{entries}</dl></section>'
    )
