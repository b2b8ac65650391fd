"""results.csv row by row, its summary, and where the figures come from."""

from __future__ import annotations

import csv
import hashlib
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import avt_memocmt
from avt_memocmt.config_file import load_config
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.evaluation import Evaluation, FailedRow
from avt_memocmt.evaluation.provenance import (
    BOTH_SIDES,
    PAST_ONLY,
    Provenance,
    checkpoint_provenance,
    checkpoint_sha256,
    code_version,
    data_sha256,
)
from avt_memocmt.evaluation.results_table import (
    append_result,
    columns_of,
    markdown_table,
    read_results,
    result_row,
)
from avt_memocmt.models.checkpoint import checkpoint_folder

COLUMNS = columns_of()
ROW = Provenance(
    model="Text-only",
    seed=0,
    split="dev",
    context=PAST_ONLY,
    selection="epoch with the best dev weighted F1",
    code="0.1.0",
    checkpoint_sha256="c0",
    data_sha256="d0",
)


def evaluation(seed: int = 0, n: int = 60) -> Evaluation:
    """Random answers on four classes in dialogues of five turns."""
    generator = np.random.default_rng(seed)
    return Evaluation(
        tuple(f"dev dia{i // 5}_utt{i % 5}" for i in range(n)),
        generator.integers(4, size=n),
        generator.dirichlet(np.ones(7), size=n),
        tuple(f"dev dia{i // 5}" for i in range(n)),
        ("text",) * n,
    )


def test_a_row_says_what_the_report_says() -> None:
    measured = evaluation()
    report, row = measured.report(), result_row(measured, ROW)
    assert tuple(row) == COLUMNS
    assert (row["model"], row["seed"], row["n"]) == ("Text-only", "0", "60")
    for name in ("accuracy", "weighted_f1", "macro_f1", "macro_precision", "uar", "roc_auc", "ece"):
        assert float(row[name]) == pytest.approx(report[name], abs=1e-6)
    low, high = report["intervals_95"]["uar"]
    assert (float(row["uar_low"]), float(row["uar_high"])) == pytest.approx((low, high), abs=1e-6)
    assert float(row["recall_fear"]) == pytest.approx(report["recall"]["fear"], abs=1e-6)
    assert float(row["f1_fear"]) == pytest.approx(report["f1"]["fear"], abs=1e-6)
    assert row["recall_anger"] == row["f1_anger"] == ""


def test_a_failed_row_is_an_error_without_a_confidence() -> None:
    measured = evaluation()
    row = FailedRow("dev dia9_utt0", "a.mp4", "no")
    failed = measured.with_failed([(row, 3, "dev dia9", -1)])
    assert failed.report()["accuracy"] == pytest.approx(measured.report()["accuracy"] * 60 / 61)
    assert failed.ece == measured.ece
    assert failed.report()["failed"] == [
        {"utterance": "dev dia9_utt0", "path": "a.mp4", "reason": "no"}
    ]
    nothing = replace(measured, probabilities=np.full((60, 7), np.nan))
    assert nothing.ece is None
    assert result_row(nothing, ROW)["ece"] == ""


def test_differences_join_by_key_and_refuse_other_data() -> None:
    first, second = evaluation(0), replace(evaluation(1), truth=evaluation(0).truth)
    order = np.random.default_rng(0).permutation(60)
    shuffled = Evaluation(
        tuple(second.keys[i] for i in order),
        second.truth[order],
        second.probabilities[order],
        tuple(second.groups[i] for i in order),
        second.present,
    )
    assert first.differences(shuffled) == first.differences(second)
    with pytest.raises(AvtError, match=r"only one .* dev dia11_utt0"):
        first.differences(evaluation(0, n=55))
    with pytest.raises(AvtError, match=r"dia\d+_utt\d has different labels"):
        first.differences(evaluation(1))


def test_the_same_row_is_replaced_and_others_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    for number, other in enumerate(
        (ROW, replace(ROW, seed=1), replace(ROW, split="test"), replace(ROW, data_sha256="d1"))
    ):
        append_result(path, result_row(evaluation(number), other))
    before = path.read_bytes()
    append_result(path, result_row(evaluation(1), replace(ROW, seed=1)))
    assert path.read_bytes() == before
    rows = append_result(path, result_row(evaluation(9), replace(ROW, seed=1, code="0.2.0")))
    assert [row["code"] for row in rows] == ["0.1.0", "0.2.0", "0.1.0", "0.1.0"]
    assert read_results(path) == rows
    with path.open(encoding="utf-8", newline="") as file:
        assert tuple(next(csv.reader(file))) == COLUMNS


def test_a_table_without_the_newer_columns_is_read_and_completed(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    kept = [name for name in COLUMNS if name != "roc_auc" and "precision" not in name]
    old = {name: cell for name, cell in result_row(evaluation(), ROW).items() if name in kept}
    path.write_text(f"{','.join(kept)}\n{','.join(old.values())}\n")
    rows = append_result(path, result_row(evaluation(1), replace(ROW, seed=1)))
    assert rows[0] == {**dict.fromkeys(COLUMNS, ""), **old}
    assert read_results(path) == rows
    assert "± " in markdown_table(rows)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model,seed,wer\nx,0,0.5\n", "column wer"),
        (",".join(reversed(COLUMNS)) + "\n", "column order"),
        (",".join(COLUMNS) + "\na,b\n", "line 2 is damaged"),
        (",".join(COLUMNS) + "\n" + ",".join(["x"] * len(COLUMNS)) + "\n", "line 2 is damaged"),
        (b"\xff\xfe\x00", "not a CSV file"),
        ("", "column model"),
    ],
)
def test_another_table_is_refused_and_stays(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = path.read_bytes()
    with pytest.raises(AvtError, match=rf"results.csv.*{message}.*--experiments"):
        append_result(path, result_row(evaluation(), ROW))
    assert path.read_bytes() == before


def with_score(name: str, value: float, **provenance: object) -> dict[str, str]:
    row = result_row(evaluation(), replace(ROW, **provenance))
    return {**row, name: f"{value:.6f}"}


def cells(table: str, line: int) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", table.splitlines()[line])[1:-1]]


def test_the_summary_has_mean_and_deviation_over_seeds() -> None:
    rows = [with_score("weighted_f1", 0.6 + 0.01 * seed, seed=seed) for seed in range(3)]
    table = markdown_table(rows)
    found = dict(zip(cells(table, 0), cells(table, 2), strict=True))
    assert found["weighted F1"] == "0.610 ± 0.010"
    assert (found["model"], found["split"], found["context"]) == ("Text-only", "dev", PAST_ONLY)
    assert (found["seeds"], found["n"]) == ("3", "60")


def test_a_single_seed_has_its_interval() -> None:
    row = result_row(evaluation(), ROW)
    table = markdown_table([row])
    found = dict(zip(cells(table, 0), cells(table, 2), strict=True))
    low, high = (f"{float(row[f'uar_{side}']):.3f}" for side in ("low", "high"))
    assert found["UAR"] == f"{float(row['uar']):.3f} [{low}, {high}]"
    assert found["ECE"] == f"{float(row['ece']):.3f}"


def test_the_summary_does_not_mix_what_differs_in_more_than_the_seed() -> None:
    rows = [
        with_score("uar", 0.1),
        with_score("uar", 0.3, checkpoint_sha256="c1"),
        with_score("uar", 0.5, seed=1),
        with_score("uar", 0.7, context=BOTH_SIDES),
        with_score("uar", 0.8, split="test"),
        with_score("uar", 0.9, model="a|b"),
    ]
    table = markdown_table(rows)
    lines = [cells(table, line) for line in range(2, 6)]
    # A network trained again takes the place of the first one with its seed.
    assert lines[0][8] == "0.400 ± 0.141"
    assert [line[3] for line in lines] == ["2", "1", "1", "1"]
    assert [line[8][:5] for line in lines[1:]] == ["0.700", "0.800", "0.900"]
    assert lines[3][0] == "a\\|b"


def test_the_provenance_of_a_checkpoint(tmp_path: Path) -> None:
    shipped = checkpoint_folder("embedded")
    config = load_config(shipped / "config.yaml")
    found = checkpoint_provenance(shipped, config, "dev", "d0")
    assert (found.model, found.seed, found.context) == ("embedded", 0, PAST_ONLY)
    assert found.selection.startswith("best epoch of each stage")

    for name in ("model.safetensors", "config.yaml"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "metrics.json").write_text('{"model": "AVT", "seed": 3, "selection": "last"}')
    both = config.model_copy(update={"model": config.model.model_copy(update={"causal": False})})
    found = checkpoint_provenance(tmp_path, both, "dev", "d0")
    assert (found.model, found.seed, found.selection) == ("AVT", 3, "last")
    assert found.context == BOTH_SIDES
    listing = "".join(
        f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n"
        for name in ("config.yaml", "model.safetensors")
    )
    assert found.checkpoint_sha256 == hashlib.sha256(listing.encode()).hexdigest()
    (tmp_path / "text_encoder.safetensors").write_bytes(b"x")
    assert checkpoint_sha256(tmp_path) != found.checkpoint_sha256

    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(AvtError, match=r"metrics.json is damaged"):
        checkpoint_provenance(tmp_path, config, "dev", "d0")


def test_the_data_hash_follows_keys_labels_and_sources() -> None:
    first = evaluation()
    relabelled = replace(first, truth=(first.truth + 1) % 7)
    renamed = replace(first, keys=("other", *first.keys[1:]))
    answered = replace(first, probabilities=first.probabilities[::-1])
    same = data_sha256(first, ["store"])
    assert data_sha256(answered, ["store"]) == same
    hashes = [data_sha256(e, ["store"]) for e in (relabelled, renamed)]
    assert len({same, *hashes, data_sha256(first, ["other"])}) == 4


def test_the_code_version_names_commit_and_edits(tmp_path: Path) -> None:
    package = tmp_path / "repository" / "package"
    package.mkdir(parents=True)
    module = package / "module.py"
    module.write_text("one = 1\n")
    assert code_version(package) == avt_memocmt.__version__

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        command = ["git", *identity, "-C", str(package.parent), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    clean = f"{avt_memocmt.__version__}+{git('rev-parse', '--short=12', 'HEAD')}"
    assert code_version(package) == clean
    (package.parent / "results.csv").write_text("new")
    assert code_version(package) == clean
    module.write_text("one = 2\n")
    assert code_version(package) == f"{clean}-dirty"
