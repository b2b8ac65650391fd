"""Scores against values worked out by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from avt_memocmt.metrics import FAILED, bootstrap_intervals, confusion, recall_per_class, scores


def test_scores_by_hand() -> None:
    # class 0: 3 of 4 right; class 4: 1 of 2 right; one class-0 row goes to class 6, absent in truth
    found = scores([0, 0, 0, 0, 4, 4], [0, 0, 0, 6, 4, 0])
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["uar"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    f1_0, f1_4 = 2 * 3 / (4 + 4), 2 * 1 / (2 + 1)
    assert found["macro_f1"] == pytest.approx((f1_0 + f1_4) / 2)
    assert found["weighted_f1"] == pytest.approx((4 * f1_0 + 2 * f1_4) / 6)


def test_scores_agree_with_scikit_learn_when_all_classes_occur() -> None:
    generator = np.random.default_rng(0)
    truth = np.concatenate([np.arange(7), generator.integers(7, size=200)])
    guess = np.where(generator.random(207) < 0.5, truth, generator.integers(7, size=207))
    found = scores(truth.tolist(), guess.tolist())
    assert found["uar"] == pytest.approx(balanced_accuracy_score(truth, guess))
    assert found["weighted_f1"] == pytest.approx(f1_score(truth, guess, average="weighted"))


def test_a_failed_row_is_an_error() -> None:
    assert scores([1, 1], [1, FAILED])["accuracy"] == 0.5
    assert recall_per_class([1, 1], [1, FAILED]) == {"surprise": 0.5}
    assert sum(map(sum, confusion([1, 1], [1, FAILED]))) == 1


def test_confusion_rows_are_the_truth() -> None:
    counts = confusion([2, 2, 5], [2, 3, 5])
    assert counts[2][2] == counts[2][3] == counts[5][5] == 1
    assert sum(map(sum, counts)) == 3


def test_bootstrap_draws_whole_dialogues() -> None:
    # Two dialogues, one all right and one all wrong: a draw of dialogues gives 0, 0.5 or 1.
    truth, guess = [0] * 20, [0] * 10 + [1] * 10
    low, high = bootstrap_intervals(truth, guess, ["a"] * 10 + ["b"] * 10)["accuracy"]
    assert (low, high) == (0.0, 1.0)
    low, high = bootstrap_intervals(truth, guess, list(range(20)))["accuracy"]
    assert 0.2 < low < 0.5 < high < 0.8
