"""The explanation of a whole split: a table of its utterances, attention maps, and the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.index import UNLABELLED
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.evaluation.contributions import OUTCOMES, Contributions, Outcome
from avt_memocmt.explainability.attention_visualization import DecisionAttention
from avt_memocmt.files import writable_folder, write_atomically, write_csv
from avt_memocmt.report.figures.attention import attention_maps
from avt_memocmt.report.figures.common import figure_bytes
from avt_memocmt.report.figures.contributions import contributions_figure
from avt_memocmt.report.page import write_page
from avt_memocmt.wording import percent

TABLE_FILE, FIGURE_FILE, PAGE_FILE = "utterances.csv", "contributions.png", "report.html"
COLUMNS = (
    *("utterance", "label", "decision", "confidence"),
    *(f"{kind}_{m}" for kind in ("weight", "change") for m in MODALITIES),
)
"""Of the table: key, label (empty where there is none), decision and its probability; the share of
each modality by the network's gate, and the probability that the decided emotion loses without it
(empty where it is absent)."""

_LONGEST = 100  # characters of the words above a map


@dataclass(frozen=True)
class Pick:
    """An utterance that is shown: of its emotion the most confident right, or wrong, decision.

    Attributes:
        place: of the utterance in the split.
        outcome: whether the decision is the label.
        words: of the utterance, "" where there are none.
        attention: of the decision; None from a network without cross-modal attention, or where
            there was nothing to decide from.
    """

    place: int
    outcome: Outcome
    words: str
    attention: DecisionAttention | None


def picked_places(found: Contributions) -> list[tuple[int, Outcome]]:
    """For each emotion the most confident right decision and the most confident wrong one."""
    picks = []
    for emotion in range(len(EMOTIONS)):
        for outcome in OUTCOMES:
            places = found.places(emotion, outcome)[:1].tolist()
            picks += [(place, outcome) for place in places]
    return picks


def write_split_explanation(
    found: Contributions, picks: Sequence[Pick], title: str, out: Path
) -> None:
    """Write the table, the figure, a PNG for each attention map, and a page that shows them.

    Args:
        found: of the split.
        picks: of `picked_places`.
        title: what was explained: the network and the split.
        out: folder; made where missing.

    Raises:
        AvtError: the folder cannot be written.
    """
    writable_folder(out)
    write_csv(out / TABLE_FILE, COLUMNS, [_row(found, i) for i in range(len(found.keys))])
    groups = found.groups()
    chart = figure_bytes(contributions_figure(groups), "png")
    write_atomically(out / FIGURE_FILE, chart)
    content = {
        "title": title,
        "labelled": int((found.truth != UNLABELLED).sum()),
        "right": int((found.truth == found.decided).sum()),
        "chart": chart,
        "groups": groups,
        "heard": [m for m in MODALITIES if m in found.changes],
        "picks": [_shown(found, pick, out) for pick in picks],
        "predictions": (),
    }
    write_page(out / PAGE_FILE, "split.html.j2", content)


def _row(found: Contributions, place: int) -> dict[str, object]:
    truth = found.truth[place]
    row: dict[str, object] = {
        "utterance": str(found.keys[place]),
        "label": EMOTIONS[truth] if truth != UNLABELLED else "",
        "decision": EMOTIONS[found.decided[place]],
        "confidence": f"{found.confidence[place]:.4f}",
    }
    for kind, values in (("weight", found.weights), ("change", found.changes)):
        for m in MODALITIES:
            value = values[m][place] if m in values else np.nan
            row[f"{kind}_{m}"] = f"{value:.4f}" if np.isfinite(value) else ""
    return row


def _shown(found: Contributions, pick: Pick, out: Path) -> dict[str, Any]:
    """What the page shows of a picked utterance, whose attention map is written."""
    label, decision = EMOTIONS[found.truth[pick.place]], EMOTIONS[found.decided[pick.place]]
    key, confidence = str(found.keys[pick.place]), float(found.confidence[pick.place])
    png, read = None, () if pick.attention is None else tuple(pick.attention.maps)
    if pick.attention is not None and read:
        asked = f"{key}: {decision}, {percent(confidence)}; label {label}"
        words = pick.words if len(pick.words) <= _LONGEST else f"{pick.words[:_LONGEST]}…"
        said = f"{asked}\n{words}\nattention rollout: the layers multiplied out, mean of the heads"
        png = figure_bytes(attention_maps(pick.attention, said, directions=read), "png")
        name = f"{label}_{pick.outcome}_{key.replace(' ', '_')}.png"
        write_atomically(out / name, png)
    changes = {m: found.changes[m][pick.place] for m in found.changes}
    return {
        "key": key,
        "outcome": pick.outcome,
        "label": label,
        "decision": decision,
        "confidence": confidence,
        "words": pick.words,
        "changes": {m: float(change) for m, change in changes.items() if np.isfinite(change)},
        "map": png,
    }
