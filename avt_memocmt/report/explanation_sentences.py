"""Why the network decided as it did, in sentences that are read off the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.explainability.evidence import SOUND_STEP
from avt_memocmt.explainability.explanation import UtteranceExplanation
from avt_memocmt.report.judgements import alone
from avt_memocmt.wording import MODALITY_NAMES, clock, percent, signed

NEGLIGIBLE = 0.005
"""A change of the logit below this moves a probability by less than 0.2 %: "hardly either way"."""

NOUNS = {"audio": "the sound", "visual": "the face", "text": "the words"}


def summary(found: UtteranceExplanation) -> list[str]:
    """Sentences of plain text: the decision, the modalities, and the strongest part of each."""
    sentences = [_decision(found), _modalities(found.leave_one_out) + _against_their_opinion(found)]
    scores = {m: attribution.scores for m, attribution in found.attributions.items()}
    if "text" in scores:
        sentences.append(_words(found.words, scores["text"]))
    if "audio" in scores:
        sentences.append(_sound(found.prediction.start, scores["audio"].sum(axis=0)))
    if "visual" in scores:
        times = [seen.time for seen in found.turn.utterance.faces]
        against = found.leave_one_out["visual"] <= -NEGLIGIBLE
        sentences.append(_faces(times, scores["visual"].sum(axis=(1, 2)), against))
    return sentences


def absent(found: UtteranceExplanation) -> list[str]:
    """Names, as in figures, of the modalities that the utterance does not have."""
    return [name for m, name in MODALITY_NAMES.items() if m not in found.attributions]


def _decision(found: UtteranceExplanation) -> str:
    prediction = found.prediction
    ranked = sorted(zip(prediction.probabilities, EMOTIONS, strict=True), reverse=True)
    (first, likeliest), (second, next_likeliest) = ranked[:2]
    if found.emotion == likeliest:
        return (
            f"The network finds {likeliest} likeliest ({percent(first)}), before {next_likeliest} "
            f"({percent(second)})."
        )
    return (
        f"Asked for was {found.emotion} ({percent(found.probability)}); the network finds "
        f"{likeliest} likeliest ({percent(first)})."
    )


def _modalities(effects: Mapping[str, float]) -> str:
    """Which modalities speak for the class and which against it, by leaving each out."""
    ranked = sorted(effects.items(), key=lambda item: -abs(item[1]))
    sides = {
        "for it": [item for item in ranked if item[1] >= NEGLIGIBLE],
        "against it": [item for item in ranked if item[1] <= -NEGLIGIBLE],
        "hardly either way": [item for item in ranked if abs(item[1]) < NEGLIGIBLE],
    }
    said = "; ".join(
        f"{side}: {' and '.join(f'{NOUNS[m]} ({signed(effect)})' for m, effect in kept)}"
        for side, kept in sides.items()
        if kept
    )
    return f"{said[0].upper()}{said[1:]}. The numbers are what its logit loses without each."


def _against_their_opinion(found: UtteranceExplanation) -> str:
    """Where a modality alone names another emotion than it counts for: seems a contradiction."""
    said = ""
    for m, effect in found.leave_one_out.items():
        opinion = found.prediction.modalities[m].probabilities
        if opinion is None or abs(effect) < NEGLIGIBLE:
            continue
        emotion, probability = alone(opinion)
        if (emotion == found.emotion) == (effect > 0):
            continue
        turn = "for" if effect > 0 else "against"
        said += (
            f" Taken alone, {NOUNS[m]} would mean {emotion} ({percent(probability)}), and still "
            f"counted {turn} {found.emotion} beside the rest."
        )
    return said


def _words(words: Sequence[str], scores: NDArray[np.float64]) -> str:
    best, worst = int(scores.argmax()), int(scores.argmin())
    parts = []
    if scores[best] > 0:
        parts.append(f"“{words[best]}” ({signed(scores[best])}) speaks most for it")
    if scores[worst] < 0:
        parts.append(f"“{words[worst]}” ({signed(scores[worst])}) speaks most against it")
    return f"Of the words, {' and '.join(parts)}." if parts else "No word counts."


def _sound(start: float, scores: NDArray[np.float64]) -> str:
    best = int(scores.argmax())
    if scores[best] <= 0:
        return "No stretch of the sound speaks for it."
    first = start + best * SOUND_STEP
    return (
        f"Of the sound, the stretch from {clock(first)} to {clock(first + SOUND_STEP)} seconds "
        f"speaks most for it ({signed(scores[best])})."
    )


def _faces(times: Sequence[float], heat: NDArray[np.float64], against: bool) -> str:
    if heat.sum() <= 0:
        return "Nothing on the faces speaks for it."
    best = int(heat.argmax())
    said = (
        f"Of what speaks for it on the {len(times)} faces that were read, "
        f"{percent(heat[best] / heat.sum())} lies on the one at {clock(times[best], 2)} seconds."
    )
    if against:
        said += " What speaks against it, as the face does on the whole, Grad-CAM does not show."
    return said
