"""The report of `explain`: one HTML page that says why the network decided as it did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avt_memocmt.explainability.explanation import MediaExplanation
from avt_memocmt.explainability.explanation_section import (
    UtterancePictures,
    figure,
    utterance_section,
)
from avt_memocmt.explainability.explanation_style import EXPLANATION_STYLE
from avt_memocmt.explainability.explanation_texts import CHECKS, LOGIT, METHODS
from avt_memocmt.explainability.html_page import POLICY, html_page
from avt_memocmt.explainability.report import LIMITS_SECTION, glossary, media_section
from avt_memocmt.explainability.report_style import STYLE
from avt_memocmt.files import write_atomically

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
