"""The picture of a confusion matrix, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.confusion_matrix import draw_confusion
from avt_memocmt.metrics.scores import FAILED, outcome_counts, scores

TRUTH = [0] * 90 + [4] * 10
GUESS = [0] * 81 + [4] * 9 + [4] * 4 + [0] * 6


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """All texts of each figure that is saved: the title, then each panel's."""
    found: list[list[str]] = []
    save = Figure.savefig

    def watch(figure: Figure, *args: object, **options: object) -> None:
        found.append([figure.get_suptitle()])
        for axes in figure.axes:
            labels = [*axes.get_xticklabels(), *axes.get_yticklabels(), *axes.texts]
            found.append([label.get_text() for label in labels])
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", watch)
    return found


def test_counts_and_shares_stand_side_by_side(tmp_path: Path, texts: list[list[str]]) -> None:
    path = tmp_path / "confusion_matrix.png"
    draw_confusion(outcome_counts(TRUTH, GUESS), path, "Text-only, dev")
    with Image.open(path) as picture:
        width, height = picture.size
        shades = np.asarray(picture.convert("L"))
    assert width > 1200 > height > 500
    assert len(np.unique(shades)) > 20
    title, counts, shares = texts
    found = scores(TRUTH, GUESS)
    assert title == [
        f"Text-only, dev\nUAR {found['uar']:.3f}, weighted F1 {found['weighted_f1']:.3f}"
    ]
    assert counts[:14] == shares[:14] == [*EMOTIONS, *EMOTIONS]
    assert counts[14:21] == ["81", "0", "0", "0", "9", "0", "0"]
    assert shares[14:21] == ["90", "0", "0", "0", "10", "0", "0"]
    assert shares[14 + 4 * 7 : 14 + 5 * 7] == ["60", "0", "0", "0", "40", "0", "0"]
    assert shares[14 + 7 : 14 + 2 * 7] == ["–"] * 7


def test_failed_rows_have_a_column_of_their_own(tmp_path: Path, texts: list[list[str]]) -> None:
    guess = [*GUESS[:-1], FAILED]
    draw_confusion(outcome_counts(TRUTH, guess), tmp_path / "c.png", "x")
    title, counts, shares = texts
    assert counts[7] == "failed"
    assert shares[15 + 4 * 8 : 15 + 5 * 8] == ["50", "0", "0", "0", "40", "0", "0", "10"]
    assert f"UAR {scores(TRUTH, guess)['uar']:.3f}" in title[0]


def test_other_classes_have_their_own_names(tmp_path: Path, texts: list[list[str]]) -> None:
    draw_confusion(outcome_counts([0, 1], [1, 1], 2), tmp_path / "c.png", "x", ("no", "yes"))
    assert texts[1] == ["no", "yes", "no", "yes", "0", "1", "0", "1"]


def test_the_same_counts_give_the_same_bytes(tmp_path: Path) -> None:
    counts = outcome_counts(TRUTH, GUESS)
    draw_confusion(counts, tmp_path / "a.png", "x")
    draw_confusion(counts[:, :7], tmp_path / "b.png", "x")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="gone"):
        draw_confusion(outcome_counts(TRUTH, GUESS), tmp_path / "gone" / "c.png", "x")
