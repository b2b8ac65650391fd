"""Where one network is better than another: by emotion and by kind of turn, over several seeds.

    python scripts/where_fusion_helps.py STORE... --first meld/avt-memocmt-seed* \\
        --second meld/text-only-seed*

Compares the checkpoints of one network, a seed each (as `reproduce` leaves them), with those of
another, on the same split of the same stores. Each score is averaged over the seeds; brackets are
95 % intervals of the difference by the paired bootstrap over dialogues. With --second-hears text
the second network is given the words alone, whatever it was trained on. It decides which turns are
of the kinds that are named after the words.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.data.labelled_dialogues import load_dialogues
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.evaluation import Evaluation
from avt_memocmt.evaluation.on_features import evaluate_stores
from avt_memocmt.evaluation.turn_groups import Mask, turn_groups
from avt_memocmt.metrics.intervals import Difference, paired_differences
from avt_memocmt.metrics.scores import class_scores_of_counts, mean_and_deviation, scores
from avt_memocmt.wording import SCORE_NAMES, markdown, with_interval

SCORES = ("accuracy", "weighted_f1", "uar")
MISSED_BY_CHANCE = 0.05
ROUNDING = 1e-9
"""Differences of means of equal scores may be so far from 0."""


@dataclass(frozen=True)
class Comparison:
    """The difference of two networks on some turns.

    Attributes:
        turns: how many.
        second: of the second network the mean of each score over its seeds.
        gains: by score, the first network's less the second's.
    """

    turns: int
    second: dict[str, float]
    gains: dict[str, Difference]


def compare(
    first: Sequence[Evaluation], second: Sequence[Evaluation], kinds: Mapping[str, Mask]
) -> tuple[dict[str, Comparison], dict[str, Difference]]:
    """Compare two networks on every kind of turn, and on each emotion over all turns.

    Args:
        first, second: of each seed, on the same utterances.
        kinds: by name bool [n], in the order of the first evaluation.

    Returns:
        By name of a kind that has turns; and by "recall of joy", "f1 of joy" and so on.

    Raises:
        AvtError: they were measured on different utterances.
    """
    base = first[0]
    ours, theirs = (np.stack([base.predicted_by(e) for e in each]) for each in (first, second))
    groups = np.array(base.groups)
    found = {}
    for name, kind in kinds.items():
        if not kind.any():
            continue
        truth = base.truth[kind]
        gains = paired_differences(truth, ours[:, kind], theirs[:, kind], groups[kind].tolist())
        alone = [scores(truth, row) for row in theirs[:, kind]]
        means = {score: float(np.mean([one[score] for one in alone])) for score in SCORES}
        found[name] = Comparison(len(truth), means, {score: gains[score] for score in SCORES})
    emotions = paired_differences(
        base.truth, ours, theirs, base.groups, score=class_scores_of_counts
    )
    present = {EMOTIONS[place] for place in base.truth}
    return found, {name: g for name, g in emotions.items() if name.split(" of ")[1] in present}


def misses_zero(gain: Difference) -> bool:
    """Whether 0 lies outside the interval of a difference."""
    low, high = gain.interval_95
    return low > ROUNDING or high < -ROUNDING


def cell(gain: Difference) -> str:
    """A difference with its interval, bold where that misses 0."""
    text = with_interval(gain.difference, gain.interval_95, "+")
    return f"**{text}**" if misses_zero(gain) else text


def kinds_table(found: Mapping[str, Comparison]) -> str:
    """A row for each kind of turn."""
    head = ("turns", "n", "accuracy of the second", *(SCORE_NAMES[score] for score in SCORES))
    rows = [
        (name, str(c.turns), f"{c.second['accuracy']:.3f}", *(cell(c.gains[s]) for s in SCORES))
        for name, c in found.items()
    ]
    return markdown(head, rows)


def emotions_table(gains: Mapping[str, Difference], truth: Sequence[str]) -> str:
    """A row for each emotion."""
    rows = [
        (
            name,
            str(truth.count(name)),
            cell(gains[f"recall of {name}"]),
            cell(gains[f"f1 of {name}"]),
        )
        for name in dict.fromkeys(key.split(" of ")[1] for key in gains)
    ]
    return markdown(("emotion", "n", "recall", "F1"), rows)


def seeds_table(networks: Mapping[str, Sequence[Evaluation]]) -> str:
    """Mean and deviation of each score over the seeds."""
    rows = []
    for name, evaluations in networks.items():
        each = [scores(e.truth, e.predicted) for e in evaluations]
        spreads = [mean_and_deviation([one[score] for one in each]) for score in SCORES]
        cells = [f"{m:.3f}" if d is None else f"{m:.3f} ± {d:.3f}" for m, d in spreads]
        rows.append((name, str(len(evaluations)), *cells))
    return markdown(("network", "seeds", *(SCORE_NAMES[score] for score in SCORES)), rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stores", nargs="+", type=Path)
    for name in ("--first", "--second"):
        parser.add_argument(name, required=True, nargs="+", type=Path, metavar="CHECKPOINT")
    parser.add_argument("--second-hears", nargs="+", choices=MODALITIES)
    parser.add_argument("--split", default="dev")
    given = parser.parse_args()
    stores = [FeatureStore.open(folder) for folder in given.stores]
    first, second = (
        [evaluate_stores(folder, stores, given.split, heard)[0] for folder in folders]
        for folders, heard in ((given.first, None), (given.second, given.second_hears))
    )
    words = np.mean([evaluation.probabilities for evaluation in second], axis=0)
    kinds = turn_groups(load_dialogues(stores, given.split, ()), words)
    everything = {"all": np.ones(len(first[0].truth), np.bool_)}
    found, emotions = compare(first, second, everything | kinds)
    truth = [EMOTIONS[place] for place in first[0].truth]
    print(seeds_table({"first": first, "second": second}))
    print(f"\n{kinds_table(found)}\n\n{emotions_table(emotions, truth)}\n")
    print(chance_note([*(g for c in found.values() for g in c.gains.values()), *emotions.values()]))


def chance_note(gains: Sequence[Difference]) -> str:
    """How many of the intervals miss 0, and how many would if the networks were equally good."""
    missed, expected = sum(map(misses_zero, gains)), MISSED_BY_CHANCE * len(gains)
    return f"{missed} of {len(gains)} intervals miss 0; by chance alone about {expected:.0f} would."


if __name__ == "__main__":
    try:
        main()
    except AvtError as error:
        raise SystemExit(str(error)) from error
