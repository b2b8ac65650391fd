"""Scores against values worked out by hand, scikit-learn, and slow forms of the same definition."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.metrics.calibration import calibration_error
from avt_memocmt.metrics.intervals import (
    bootstrap_intervals,
    mean_differences,
    mean_interval,
    paired_differences,
)
from avt_memocmt.metrics.roc_auc import macro_roc_auc
from avt_memocmt.metrics.scores import (
    FAILED,
    class_scores_of_counts,
    mean_and_deviation,
    outcome_counts,
    per_class,
    scores,
)


def noisy(truth: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The truth, or any class with the given chance."""
    generator = np.random.default_rng(seed)
    return np.where(
        generator.random(len(truth)) < share, generator.integers(7, size=len(truth)), truth
    )


def test_scores_by_hand() -> None:
    # class 0: 3 of 4 right; class 4: 1 of 2 right; one class-0 row goes to class 6, absent in truth
    truth, guess = [0, 0, 0, 0, 4, 4], [0, 0, 0, 6, 4, 0]
    found = scores(truth, guess)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["uar"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    f1_0, f1_4 = 2 * 3 / (4 + 4), 2 * 1 / (2 + 1)
    assert found["macro_f1"] == pytest.approx((f1_0 + f1_4) / 2)
    assert found["weighted_f1"] == pytest.approx((4 * f1_0 + 2 * f1_4) / 6)
    assert per_class(truth, guess)["f1"] == pytest.approx({"neutral": f1_0, "joy": f1_4})
    assert per_class(truth, guess)["recall"] == pytest.approx({"neutral": 3 / 4, "joy": 1 / 2})


@pytest.mark.parametrize("classes", [range(7), (0, 4, 6), (3,)])
def test_scores_agree_with_scikit_learn(classes) -> None:
    generator = np.random.default_rng(0)
    truth = np.concatenate([classes, generator.choice(list(classes), size=200)])
    guess = noisy(truth, 0.5, 1)
    present = sorted(set(truth))
    found = scores(truth.tolist(), guess.tolist())
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, guess))
    for name, average in (("weighted_f1", "weighted"), ("macro_f1", "macro")):
        expected = f1_score(truth, guess, labels=present, average=average, zero_division=0)
        assert found[name] == pytest.approx(expected)
    expected = precision_score(truth, guess, labels=present, average="macro", zero_division=0)
    assert found["macro_precision"] == pytest.approx(expected)
    recalls = recall_score(truth, guess, labels=present, average=None)
    assert found["uar"] == pytest.approx(recalls.mean())
    if len(present) == 7:
        assert found["uar"] == pytest.approx(balanced_accuracy_score(truth, guess))
    names = [EMOTIONS[label] for label in present]
    assert per_class(truth, guess)["recall"] == pytest.approx(
        dict(zip(names, recalls, strict=True))
    )
    f1 = f1_score(truth, guess, labels=present, average=None)
    assert per_class(truth, guess)["f1"] == pytest.approx(dict(zip(names, f1, strict=True)))
    counts = outcome_counts(truth, guess)
    assert counts[:, :7].tolist() == confusion_matrix(truth, guess, labels=range(7)).tolist()
    assert not counts[:, FAILED].any()


def test_a_failed_row_is_an_error() -> None:
    assert scores([1, 1], [1, FAILED])["accuracy"] == 0.5
    assert per_class([1, 1], [1, FAILED])["recall"] == {"surprise": 0.5}
    assert per_class([1, 1], [1, FAILED])["f1"] == pytest.approx({"surprise": 2 / 3})
    assert outcome_counts([1, 1], [1, FAILED])[:, :7].sum() == 1
    assert scores([1, 2], [FAILED, FAILED]) == dict.fromkeys(scores([1], [1]), 0.0)


def test_classes_may_be_more_than_the_seven() -> None:
    truth, guess = [8, 8, 0], [8, FAILED, 0]
    assert scores(truth, guess)["uar"] == 0.75
    assert per_class(truth, guess, tuple("abcdefghi"))["recall"] == {"a": 1.0, "i": 0.5}
    assert outcome_counts(truth, guess, 9)[8].tolist() == [0] * 8 + [1, 1]
    assert bootstrap_intervals(truth, guess, "xxx", samples=3)["uar"] == [0.75, 0.75]
    gain = paired_differences(truth, truth, guess, "xxx", samples=3)["uar"]
    assert (gain.difference, gain.interval_95) == (0.25, (0.25, 0.25))


@pytest.mark.parametrize("classes", [range(7), (0, 4, 6)])
def test_the_area_under_the_curve_agrees_with_scikit_learn(classes) -> None:
    generator = np.random.default_rng(3)
    truth = np.concatenate([classes, generator.choice(list(classes), size=200)])
    chances = generator.dirichlet(np.ones(7), size=len(truth)).round(1)  # with many ties
    chances[np.arange(len(truth)), truth] += 0.2
    areas = [roc_auc_score(truth == label, chances[:, label]) for label in classes]
    assert macro_roc_auc(truth, chances) == pytest.approx(np.mean(areas))


def test_a_failed_row_is_ranked_wrong_in_every_class() -> None:
    truth = np.array([0, 0, 1, 1])
    chances = np.eye(7)[truth]
    assert macro_roc_auc(truth, chances) == 1.0
    chances[0] = np.nan
    # Of four pairs of a neutral and a surprised row the two with the failed one are wrong.
    assert macro_roc_auc(truth, chances) == 0.5
    assert macro_roc_auc(truth[:2], chances[:2]) is None


def test_confusion_rows_are_the_truth() -> None:
    counts = outcome_counts([2, 2, 5], [2, 3, 5])[:, :7].tolist()
    assert counts[2][2] == counts[2][3] == counts[5][5] == 1
    assert sum(map(sum, counts)) == 3


def test_mean_and_deviation_over_seeds() -> None:
    assert mean_and_deviation([1.0, 2.0, 3.0, 6.0]) == pytest.approx((3.0, np.sqrt(14 / 3)))
    assert mean_and_deviation([0.5]) == (0.5, None)


def test_bootstrap_draws_whole_dialogues() -> None:
    # Two dialogues, one all right and one all wrong: a draw of dialogues gives 0, 0.5 or 1.
    truth, guess = [0] * 20, [0] * 10 + [1] * 10
    low, high = bootstrap_intervals(truth, guess, ["a"] * 10 + ["b"] * 10)["accuracy"]
    assert (low, high) == (0.0, 1.0)
    low, high = bootstrap_intervals(truth, guess, list(range(20)))["accuracy"]
    assert 0.2 < low < 0.5 < high < 0.8


def slow_draws(truth, predicted, groups, samples, seed):
    """The definition: rows of the drawn dialogues put together, then scored."""
    _, owner = np.unique([str(group) for group in groups], return_inverse=True)
    members = [np.flatnonzero(owner == group) for group in range(owner.max() + 1)]
    generator = np.random.default_rng(seed)
    for _ in range(samples):
        drawn = generator.integers(len(members), size=len(members))
        rows = np.concatenate([members[i] for i in drawn])
        yield [scores(truth[rows], guess[rows]) for guess in predicted]


def dialogues(turns: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Truth, two predictions (one with failed rows) and dialogues of uneven length."""
    generator = np.random.default_rng(3)
    truth = generator.choice(7, size=turns, p=[0.45, 0.13, 0.02, 0.1, 0.15, 0.02, 0.13])
    first, second = noisy(truth, 0.4, 4), noisy(truth, 0.5, 5)
    second[::50] = FAILED
    return truth, first, second, generator.integers(40, size=turns) ** 2


def test_bootstrap_equals_the_slow_form_draw_by_draw() -> None:
    truth, _, guess, groups = dialogues()
    found = bootstrap_intervals(truth, guess, groups, samples=60, seed=7)
    slow = [draw[0] for draw in slow_draws(truth, [guess], groups, 60, 7)]
    for name, interval in found.items():
        expected = np.percentile([draw[name] for draw in slow], [2.5, 97.5])
        assert interval == pytest.approx(expected.tolist(), abs=1e-12)


def test_paired_differences_equal_the_slow_form() -> None:
    truth, first, second, groups = dialogues()
    found = paired_differences(truth, first, second, groups, samples=60, seed=7)
    slow = list(slow_draws(truth, [first, second], groups, 60, 7))
    for name, difference in found.items():
        gains = np.array([a[name] - b[name] for a, b in slow])
        assert difference.interval_95 == pytest.approx(np.percentile(gains, [2.5, 97.5]), abs=1e-12)
        assert difference.share_not_better == (gains <= 0).mean()
        whole = scores(truth, first)[name] - scores(truth, second)[name]
        assert difference.difference == pytest.approx(whole)


def test_the_scores_of_several_runs_are_averaged() -> None:
    truth, first, second, groups = dialogues()
    runs = np.stack([first, noisy(truth, 0.3, 6)])
    found = paired_differences(truth, runs, second, groups, samples=60, seed=7)["uar"]
    slow = list(slow_draws(truth, [*runs, second], groups, 60, 7))
    gains = [(a["uar"] + b["uar"]) / 2 - c["uar"] for a, b, c in slow]
    assert found.interval_95 == pytest.approx(np.percentile(gains, [2.5, 97.5]), abs=1e-12)
    whole = [scores(truth, guess)["uar"] for guess in (*runs, second)]
    assert found.difference == pytest.approx((whole[0] + whole[1]) / 2 - whole[2])


def test_differences_of_one_class() -> None:
    truth, first, second, groups = dialogues()
    found = paired_differences(truth, first, second, groups, score=class_scores_of_counts)
    ours, theirs = per_class(truth, first), per_class(truth, second)
    expected = {
        f"{score} of {emotion}": ours[score][emotion] - theirs[score][emotion]
        for score in ("recall", "f1")
        for emotion in EMOTIONS
    }
    assert {name: gain.difference for name, gain in found.items()} == pytest.approx(expected)


def test_the_pairing_removes_what_both_have_in_common() -> None:
    # The second is the first with one more error in every dialogue: the gain hardly varies, while
    # the two intervals by themselves overlap.
    truth = np.zeros(400, int)
    groups = np.arange(400) // 10
    first = np.where(np.arange(400) % 10 < groups % 8, 1, 0)
    second = np.where(np.arange(400) % 10 < groups % 8 + 1, 1, 0)
    apart = [bootstrap_intervals(truth, guess, groups)["accuracy"] for guess in (first, second)]
    assert apart[1][1] > apart[0][0]
    gain = paired_differences(truth, first, second, groups)["accuracy"]
    assert gain.difference == pytest.approx(0.1)
    assert gain.interval_95 == pytest.approx((0.1, 0.1))
    assert gain.share_not_better == 0.0


def test_no_difference_is_not_better() -> None:
    truth, first, _, groups = dialogues()
    for difference in paired_differences(truth, first, first, groups, samples=20).values():
        assert difference.difference == 0.0
        assert difference.interval_95 == (0.0, 0.0)
        assert difference.share_not_better == 1.0


def stated(confidence: np.ndarray) -> np.ndarray:
    """[n, 7] with the given probability of class 0 and the rest spread evenly."""
    rest = np.repeat(((1 - confidence) / 6)[:, None], 6, axis=1)
    return np.concatenate([confidence[:, None], rest], axis=1)


def test_calibration_error_by_hand() -> None:
    # Two bins of two rows: |1/2 - 0.55| and |2/2 - 0.85|, each with half of the rows.
    probabilities = stated(np.array([0.9, 0.5, 0.8, 0.6]))
    truth = np.array([0, 0, 0, 1])
    assert calibration_error(truth, probabilities, bins=2) == pytest.approx((0.05 + 0.15) / 2)


def test_bins_have_equal_mass() -> None:
    # Bins of equal width put all of these rows into one, in which 58 of 60 right is 0.965 stated.
    confidence = np.linspace(0.94, 0.99, 60)
    truth = np.zeros(60, int)
    truth[:2] = 1
    expected = sum(
        abs((truth[part] == 0).sum() - confidence[part].sum())
        for part in np.array_split(np.arange(60), 15)
    )
    found = calibration_error(truth, stated(confidence))
    assert found == pytest.approx(expected / 60)
    assert found > 20 * abs(58 / 60 - confidence.mean())


def test_calibration_error_does_not_depend_on_the_order_of_rows() -> None:
    generator = np.random.default_rng(0)
    probabilities = stated(generator.choice([0.5, 0.7, 0.9], size=100))
    truth = generator.integers(2, size=100)
    order = generator.permutation(100)
    assert calibration_error(truth, probabilities) == pytest.approx(
        calibration_error(truth[order], probabilities[order])
    )


def test_one_confidence_that_is_right_on_average_is_calibrated() -> None:
    truth = np.array([0] * 8 + [3] * 2)
    assert calibration_error(truth, stated(np.full(10, 0.8))) == pytest.approx(0.0)
    assert calibration_error(truth, stated(np.full(10, 0.5))) == pytest.approx(0.3)


def test_the_interval_of_a_mean_draws_whole_dialogues() -> None:
    assert mean_interval([0.5, 0.5, 0.5], ["a", "b", "c"]) == (0.5, 0.5)
    # Two dialogues: a draw is either one of them twice, or both.
    assert mean_interval([0.0, 0.0, 3.0], ["a", "a", "b"]) == (0.0, 3.0)
    # One dialogue: whatever is drawn is the whole.
    assert mean_interval([0.0, 1.0], ["a", "a"]) == (0.5, 0.5)


def test_differences_of_weighted_means_of_two_sets() -> None:
    ones = np.ones((3, 2))
    constant, twice = mean_differences(
        (np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 3.0]]), ones),
        (np.array([[2.0, 6.0], [2.0, 0.0]]), np.array([[1.0, 1.0], [5.0, 2.0]])),
    )
    assert (constant.first, constant.second, constant.difference) == (1.0, 2.0, 1.0)
    assert constant.interval_95 == (1.0, 1.0)
    assert (twice.first, twice.second) == (1.0, 2.0)
    assert twice.interval_95[0] < twice.difference < twice.interval_95[1]


def test_the_two_sets_are_drawn_apart() -> None:
    rows = np.arange(8.0)[:, None], np.ones((8, 1))
    (same,) = mean_differences(rows, rows)
    assert same.difference == 0.0
    assert same.interval_95[0] < -1 < 1 < same.interval_95[1]
    # Draws without any weight are left out, and the others hold the only row that counts.
    (lone,) = mean_differences(
        (np.array([[4.0], [9.0]]), np.array([[1.0], [0.0]])), (np.array([[5.0]]), np.ones((1, 1)))
    )
    assert lone.interval_95 == (1.0, 1.0)
