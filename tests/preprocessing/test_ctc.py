from itertools import groupby, product

import numpy as np
import pytest
from numpy.typing import NDArray

from avt_memocmt.preprocessing.ctc import MAX_CELLS, ctc_forced_align, frames_needed

BLANK, A, B = 0, 1, 2


def _log(rows: list[list[float]]) -> NDArray[np.float32]:
    return np.log(np.asarray(rows, dtype=np.float32))


def _path(spans: list[tuple[int, int]], targets: list[int], frames: int) -> list[int]:
    path = [BLANK] * frames
    for (first, end), token in zip(spans, targets, strict=True):
        path[first:end] = [token] * (end - first)
    return path


def _collapse(path: tuple[int, ...]) -> list[int]:
    return [token for token, _ in groupby(path) if token != BLANK]


def test_spans_of_a_hand_made_lattice() -> None:
    log_probs = _log(
        [[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.6, 0.2, 0.2], [0.1, 0.1, 0.8]]
    )
    spans, score = ctc_forced_align(log_probs, [A, B], BLANK)
    assert spans == [(1, 3), (4, 5)]
    assert score == pytest.approx(np.log(0.9 * 0.8 * 0.7 * 0.6 * 0.8))


def test_equal_neighbours_are_parted_by_a_blank() -> None:
    log_probs = _log([[0.1, 0.9], [0.1, 0.9], [0.1, 0.9], [0.2, 0.8]])
    spans, score = ctc_forced_align(log_probs, [A, A], BLANK)
    # The cheapest blank is in the third frame or the second; the last frame must stay with A.
    assert spans in ([(0, 1), (2, 4)], [(0, 2), (3, 4)])
    assert score == pytest.approx(np.log(0.9 * 0.9 * 0.1 * 0.8))
    assert ctc_forced_align(log_probs[:3], [A, A], BLANK)[0] == [(0, 1), (2, 3)]
    with pytest.raises(ValueError, match="need 3 frames, got 2"):
        ctc_forced_align(log_probs[:2], [A, A], BLANK)


def test_different_neighbours_may_touch() -> None:
    log_probs = _log([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    assert ctc_forced_align(log_probs, [A, B], BLANK)[0] == [(0, 1), (1, 2)]


def test_no_targets_is_all_blank() -> None:
    spans, score = ctc_forced_align(_log([[0.5, 0.5], [0.25, 0.75]]), [], BLANK)
    assert spans == []
    assert score == pytest.approx(np.log(0.125))


@pytest.mark.parametrize("seed", range(40))
def test_score_equals_the_best_of_all_paths(seed: int) -> None:
    draw = np.random.default_rng(seed)
    frames, vocabulary = int(draw.integers(2, 7)), 3
    targets = draw.integers(1, vocabulary, size=draw.integers(1, 4)).tolist()
    log_probs = np.log(draw.dirichlet(np.full(vocabulary, 0.5), size=frames) + 1e-9)
    paths = [
        path for path in product(range(vocabulary), repeat=frames) if _collapse(path) == targets
    ]
    if not paths:
        assert frames < frames_needed(targets)
        with pytest.raises(ValueError, match="frames"):
            ctc_forced_align(log_probs, targets, BLANK)
        return
    best = max(sum(log_probs[t, token] for t, token in enumerate(path)) for path in paths)
    spans, score = ctc_forced_align(log_probs, targets, BLANK)
    assert score == pytest.approx(best, abs=1e-4)
    own = _path(spans, targets, frames)
    assert _collapse(tuple(own)) == targets
    assert sum(log_probs[t, token] for t, token in enumerate(own)) == pytest.approx(score, abs=1e-4)


def test_planted_path_of_minutes_is_found() -> None:
    draw = np.random.default_rng(0)
    targets = draw.integers(1, 40, size=800).tolist()
    lengths = draw.integers(1, 5, size=(800, 2))
    planted, truth = [], []
    for token, (silence, length) in zip(targets, lengths.tolist(), strict=True):
        planted += [BLANK] * silence
        truth.append((len(planted), len(planted) + length))
        planted += [token] * length
    log_probs = np.full((len(planted), 40), -8.0, dtype=np.float32)
    log_probs[np.arange(len(planted)), planted] = -0.1
    spans, score = ctc_forced_align(log_probs, targets, BLANK)
    assert spans == truth
    assert score == pytest.approx(-0.1 * len(planted), rel=1e-4)


def test_wrong_input_is_refused() -> None:
    log_probs = _log([[0.5, 0.5]] * 4)
    with pytest.raises(ValueError, match="cannot be a target"):
        ctc_forced_align(log_probs, [A, BLANK], BLANK)
    with pytest.raises(ValueError, match="need 1 frames, got 0"):
        ctc_forced_align(log_probs[:0], [], BLANK)
    impossible = log_probs.copy()
    impossible[:, A] = -np.inf
    with pytest.raises(ValueError, match="zero probability"):
        ctc_forced_align(impossible, [A], BLANK)
    frames = 40_000
    with pytest.raises(ValueError, match="memory"):
        ctc_forced_align(np.zeros((frames, 2)), [A, B] * (MAX_CELLS // frames // 4 + 1), BLANK)


def test_frames_needed() -> None:
    assert frames_needed([]) == 0
    assert frames_needed([A, B, A]) == 3
    assert frames_needed([A, A, A, B]) == 6
