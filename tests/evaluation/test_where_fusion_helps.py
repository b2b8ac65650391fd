"""The comparison of two networks by emotion and kind of turn."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from store_factory import make_config, make_store
from where_fusion_helps import chance_note, compare, main, misses_zero

from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.evaluation import Evaluation
from avt_memocmt.evaluation.on_features import evaluate_stores
from avt_memocmt.metrics.intervals import Difference
from avt_memocmt.training.dialogues import train_dialogues

TRUTH = np.array([0, 0, 4, 4, 6, 6])


def answered(*emotions: int) -> Evaluation:
    """What a network named, of two dialogues of three turns."""
    names = tuple(f"dev dia{place // 3}_utt{place % 3}" for place in range(len(TRUTH)))
    groups = tuple(name.split("_")[0] for name in names)
    return Evaluation(names, TRUTH, np.eye(7)[list(emotions)], groups, ("text",) * len(TRUTH))


def test_a_gain_is_averaged_over_the_seeds_and_measured_on_its_turns_alone() -> None:
    second = [answered(0, 0, 0, 0, 0, 0), answered(0, 0, 0, 0, 6, 0)]
    first = [answered(0, 0, 4, 0, 0, 0), answered(0, 0, 4, 4, 6, 0)]
    late = np.array([0, 0, 0, 1, 1, 1], np.bool_)
    kinds = {"all": np.ones(6, np.bool_), "late": late, "none": np.zeros(6, np.bool_)}
    found, emotions = compare(first, second, kinds)
    assert list(found) == ["all", "late"]
    assert found["all"].gains["accuracy"].difference == pytest.approx((1 + 2) / 6 / 2)
    assert found["late"].gains["accuracy"].difference == pytest.approx((0 + 1) / 3 / 2)
    assert found["late"].second["accuracy"] == pytest.approx((0 + 1) / 3 / 2)
    assert found["late"].turns == 3
    recalls = {name[10:]: g.difference for name, g in emotions.items() if "recall" in name}
    assert recalls == pytest.approx({"neutral": 0.0, "joy": (0.5 + 1.0) / 2, "anger": 0.0})


def test_an_interval_misses_0_on_either_side() -> None:
    bounds = ((-1.0, 1.0), (0.1, 0.2), (-0.2, -0.1), (1e-17, 1e-17))
    gains = [Difference(0.0, each, 0.5) for each in bounds]
    assert [misses_zero(gain) for gain in gains] == [False, True, True, False]
    assert chance_note(gains * 20).startswith("40 of 80 intervals miss 0; by chance alone about 4 ")


def test_the_checkpoints_of_two_networks_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = make_store(tmp_path / "store", sentiments=True)
    networks = {"first": "avt-memocmt", "second": "text-only"}
    for folder, kind in networks.items():
        for seed in range(2):
            config = make_config(seed=seed, epochs=1)
            config = config.model_copy(
                update={"model": config.model.model_copy(update={"kind": kind})}
            )
            train_dialogues(config, [store], tmp_path / folder / f"seed{seed}", name=kind)
    given = [str(tmp_path / "store")]
    for name in networks:
        given += [f"--{name}", *(str(tmp_path / name / f"seed{seed}") for seed in range(2))]
    monkeypatch.setattr(sys, "argv", ["where_fusion_helps.py", *given])
    main()
    printed = capsys.readouterr().out
    means = {}
    for name in networks:
        stores = [FeatureStore.open(tmp_path / "store")]
        found = [
            evaluate_stores(tmp_path / name / f"seed{seed}", stores, "dev")[0].figures()
            for seed in range(2)
        ]
        means[name] = np.mean([figures["accuracy"] for figures in found])
        assert f"| {name} | 2 | {means[name]:.3f} ± " in printed
    overall = next(line for line in printed.splitlines() if line.startswith("| all "))
    assert f"| {means['second']:.3f} |" in overall
    assert f"{means['first'] - means['second']:+.3f} [" in overall
    assert "| sentiment as the words |" in printed
    assert "intervals miss 0" in printed


def test_a_checkpoint_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_store(tmp_path / "store")
    missing = str(tmp_path / "nothing")
    given = [str(tmp_path / "store"), "--first", missing, "--second", missing]
    monkeypatch.setattr(sys, "argv", ["where_fusion_helps.py", *given])
    with pytest.raises(AvtError, match="nothing"):
        main()
