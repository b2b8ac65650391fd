"""The report of `predict`: one HTML page that explains every prediction, readable offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avt_memocmt.emotions import COLOURS, EMOTIONS, UNCERTAIN
from avt_memocmt.files import write_atomically
from avt_memocmt.inference.results import MediaPrediction, ModalityUse, UtterancePrediction
from avt_memocmt.report.page import escaped, html_page
from avt_memocmt.report.texts import FIGURE_CAPTION, LIMITS, WARNINGS
from avt_memocmt.report.timeline import timeline_svg
from avt_memocmt.wording import MODALITY_NAMES, clock, percent

LIMITS_SECTION = (
    f'<section id="limits"><h2>What this can and cannot say</h2><p>{LIMITS}</p></section>'
)


def write_report(
    predictions: Sequence[MediaPrediction], failures: Sequence[tuple[str, str]], path: Path
) -> None:
    """Write one self-contained HTML page: no scripts, no network.

    Args:
        predictions: one section each, in this order.
        failures: (input, reason) of inputs that could not be predicted.
        path: of the page; appears whole or not at all.

    Raises:
        AvtError: the folder is missing or cannot be written.
    """
    write_atomically(path, _page(predictions, failures).encode("utf-8"))


def _page(predictions: Sequence[MediaPrediction], failures: Sequence[tuple[str, str]]) -> str:
    heading = _heading(len(predictions) + len(failures))
    return html_page(
        f"{heading}: {predictions[0].media}" if predictions else heading,
        [
            f"<header><h1>{heading}</h1></header>",
            _contents(predictions, failures),
            "<main>",
            *(media_section(number, item) for number, item in enumerate(predictions, 1)),
            _failure_section(failures),
            glossary(predictions),
            LIMITS_SECTION,
            "</main>",
        ],
    )


def _heading(inputs: int) -> str:
    return "Emotion timeline" if inputs == 1 else f"Emotion timelines of {inputs} inputs"


def _contents(predictions: Sequence[MediaPrediction], failures: Sequence[tuple[str, str]]) -> str:
    """Links to the sections and one line on each input; nothing where there is only one."""
    if len(predictions) + len(failures) < 2:
        return ""
    items = [
        f'<li><a href="#input-{number}">{escaped(item.media)}</a>: {_summary(item)}</li>'
        for number, item in enumerate(predictions, 1)
    ]
    if failures:
        items.append(f'<li><a href="#failures">Failed: {len(failures)}</a></li>')
    return f'<nav aria-label="Inputs"><ol>{"".join(items)}</ol></nav>'


def media_section(number: int, prediction: MediaPrediction) -> str:
    """One input: facts, summary, timeline and the table of its utterances."""
    heading = f"input-{number}"
    model = f"{escaped(prediction.preset)} {escaped(prediction.version)}"
    notes = "".join(f"<li>{warning_text(name)}</li>" for name in prediction.warnings)
    return "\n".join(
        [
            f'<section aria-labelledby="{heading}">',
            f'<h2 id="{heading}" dir="auto">{escaped(prediction.media)}</h2>',
            f'<p class="facts">{_length(prediction.duration)} · model {model}</p>',
            f"<p>{_summary(prediction)}</p>",
            f"<ul>{notes}</ul>" if notes else "",
            f'<figure><div class="wide" tabindex="0" role="region" aria-label="Timeline {number}">',
            timeline_svg(prediction),
            f"</div><figcaption>{FIGURE_CAPTION}</figcaption></figure>",
            _table(number, prediction.utterances) if prediction.utterances else "",
            "</section>",
        ]
    )


def _length(seconds: float) -> str:
    if seconds <= 0:
        return "still image"
    return f"{clock(seconds)} seconds" if seconds < 60 else f"duration {clock(seconds)}"


def _summary(prediction: MediaPrediction) -> str:
    """One or two sentences: the emotions that fill most time, and where face and words disagree."""
    utterances = prediction.utterances
    if not utterances:
        return "No utterance was found."
    mean = percent(sum(u.confidence for u in utterances) / len(utterances))
    if len(utterances) == 1:
        text = f"One utterance: <strong>{utterances[0].emotion}</strong>, confidence {mean}."
    else:
        listed = ", ".join(f"{name} {percent(share)}" for name, share in _shares(utterances)[:3])
        text = f"{len(utterances)} utterances. Most time: <strong>{listed}</strong>. "
        text += f"Mean confidence {mean}."
    differing = sum(1 for utterance in utterances if disagreement(utterance))
    if differing:
        text += f" Face and words disagree in {differing} of {len(utterances)}."
    return text


def _shares(utterances: Sequence[UtterancePrediction]) -> list[tuple[str, float]]:
    """Each emotion's share of the time (of the utterances where all are moments), largest first."""
    lengths = [utterance.end - utterance.start for utterance in utterances]
    if sum(lengths) <= 0:
        lengths = [1.0] * len(utterances)
    shares = dict.fromkeys((*EMOTIONS, UNCERTAIN), 0.0)
    for utterance, length in zip(utterances, lengths, strict=True):
        shares[utterance.emotion] += length / sum(lengths)
    ranked = sorted(shares.items(), key=lambda item: item[1], reverse=True)
    return [(name, share) for name, share in ranked if share > 0]


def disagreement(utterance: UtterancePrediction) -> str | None:
    """What face and words each say where they name different emotions, in one sentence."""
    face, words = utterance.modalities.get("visual"), utterance.modalities.get("text")
    if not face or not words or face.probabilities is None or words.probabilities is None:
        return None
    seen, said = alone(face.probabilities), alone(words.probabilities)
    if seen[0] == said[0]:
        return None
    return f"Face ({seen[0]}) and words ({said[0]}) disagree."


def alone(probabilities: tuple[float, ...]) -> tuple[str, float]:
    """The likeliest emotion of one modality on its own, and its probability."""
    best = max(probabilities)
    return EMOTIONS[probabilities.index(best)], best


def _table(number: int, utterances: Sequence[UtterancePrediction]) -> str:
    with_speakers = any(utterance.speaker for utterance in utterances)
    titles = ["Time", *(["Speaker"] if with_speakers else []), "Words", "Emotion"]
    titles += [f"{name.capitalize()} alone" for name in MODALITY_NAMES.values()]
    heads = "".join(f'<th scope="col">{title}</th>' for title in [*titles, "Notes"])
    rows = "\n".join(_row(utterance, with_speakers) for utterance in utterances)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="Utterances {number}"><table>'
        f"<caption>Utterances, what each modality says on its own, and how much it counted"
        f"</caption><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
    )


def _row(utterance: UtterancePrediction, with_speakers: bool) -> str:
    is_moment = utterance.end <= utterance.start
    times = clock(utterance.start) + ("" if is_moment else f"–{clock(utterance.end)}")
    speaker = f'<td dir="auto">{escaped(utterance.speaker or "")}</td>' if with_speakers else ""
    source = ' <span class="soft">(recognised)</span>' if utterance.text_source == "asr" else ""
    words = escaped(utterance.text) + source if utterance.text else '<span class="soft">none</span>'
    notes = [_warning_link(name) for name in utterance.warnings]
    conflict = disagreement(utterance)
    notes += [conflict] if conflict else []
    if utterance.emotion == UNCERTAIN:
        notes.append(f"Likeliest: {utterance.likeliest}.")
    return (
        f'<tr><th scope="row" class="time">{times}</th>{speaker}'
        f'<td class="words" dir="auto">{words}</td>'
        f"<td>{judgement(utterance.emotion, utterance.confidence, 'main')}</td>"
        + "".join(_modality_cell(utterance.modalities.get(name)) for name in MODALITY_NAMES)
        + f'<td class="notes">{"<br>".join(notes)}</td></tr>'
    )


def _modality_cell(use: ModalityUse | None) -> str:
    if use is None or not use.present:
        return '<td class="soft">absent</td>'
    said = judgement(*alone(use.probabilities), "") if use.probabilities else "present"
    return f'<td>{said}<span class="soft">weight {percent(use.weight)}</span></td>'


def judgement(emotion: str, confidence: float, kind: str) -> str:
    """An emotion with its colour, its probability in figures and as the length of a bar."""
    colour = COLOURS[emotion]
    return (
        f'<span class="said {kind}"><i style="background:{colour}"></i>{emotion} '
        f'{percent(confidence)}</span><span class="bar">'
        f'<b style="width:{100 * confidence:.0f}%;background:{colour}"></b></span>'
    )


def _warning_link(name: str) -> str:
    shown = escaped(name)
    return f'<a href="#warning-{shown}">{shown.replace("_", " ")}</a>'


def _failure_section(failures: Sequence[tuple[str, str]]) -> str:
    if not failures:
        return ""
    rows = "".join(
        f'<tr><th scope="row" dir="auto">{escaped(media)}</th>'
        f'<td dir="auto">{escaped(reason)}</td></tr>'
        for media, reason in failures
    )
    return (
        '<section id="failures"><h2>Inputs that failed</h2><table><thead><tr>'
        '<th scope="col">Input</th><th scope="col">Reason</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></section>"
    )


def glossary(predictions: Sequence[MediaPrediction]) -> str:
    """The sentences of the utterances' warnings that occur."""
    names = {name for item in predictions for u in item.utterances for name in u.warnings}
    if not names:
        return ""
    entries = "".join(
        f'<dt id="warning-{escaped(name)}">{escaped(name).replace("_", " ")}</dt>'
        f"<dd>{warning_text(name)}</dd>"
        for name in sorted(names)
    )
    return f'<section id="warnings"><h2>Warnings explained</h2><dl>{entries}</dl></section>'


def warning_text(name: str) -> str:
    """What a warning means, as HTML."""
    return WARNINGS.get(name) or f"{escaped(name)} (this report has no explanation of it)."
