"""The table of a recipe: every row, resumable, the same bytes each time."""

from __future__ import annotations

import csv
import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from table_factory import make_recipe, small_reproduction

from avt_memocmt.config_file import load_config
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.errors import AvtError
from avt_memocmt.features.extract_text_features import TEXT_ENCODER_FILE
from avt_memocmt.models.checkpoint import CONFIG_FILE
from avt_memocmt.pretrained import CHECKPOINTS
from avt_memocmt.reproduction.jobs import done_in_order
from avt_memocmt.reproduction.plan import MELD_RECIPE, load_plan
from avt_memocmt.reproduction.run import Reproduction


def test_every_row_is_measured_and_a_stopped_table_ends_the_same(tmp_path: Path) -> None:
    whole = small_reproduction(tmp_path, "whole")
    with ThreadPoolExecutor(1) as pool:
        whole.run(pool=pool)
    experiments = tmp_path / "whole" / "experiments"
    with (experiments / "results.csv").open(newline="") as file:
        rows = [(row["model"], row["seed"], row["context"]) for row in csv.DictReader(file)]
    past = "past-only"
    assert sorted(rows) == sorted(
        [
            ("Majority", "0", past),
            *(("Text-only", seed, past) for seed in "01"),
            *(("Late fusion", seed, past) for seed in "01"),
            *(("Proposed", seed, past) for seed in "01"),
            ("Proposed, both sides", "0", "both-sides"),
            ("audio shuffled", "0", past),
            ("visual noise", "0", past),
        ]
    )
    table = (experiments / "results.md").read_text()
    proposed = next(line for line in table.splitlines() if line.startswith("| Proposed |"))
    assert "±" in proposed
    assert (experiments / "confusion_matrix.png").read_bytes()[:4] == b"\x89PNG"

    class StoppedError(Exception):
        pass

    def stop_at(name: str) -> None:
        if name == "proposed-seed0":
            raise StoppedError

    with pytest.raises(StoppedError):
        small_reproduction(tmp_path, "stopped").run(stop_at)
    with ThreadPoolExecutor(1) as pool:
        small_reproduction(tmp_path, "stopped").run(pool=pool)
    for name in ("results.csv", "results.md"):
        again = tmp_path / "stopped" / "experiments" / name
        assert again.read_bytes() == (experiments / name).read_bytes()


def test_stored_words_take_the_place_of_a_text_encoder_for_each_seed(tmp_path: Path) -> None:
    tuned = small_reproduction(tmp_path, "tuned", rows=("Proposed",))
    with ThreadPoolExecutor(1) as pool:
        tuned.run(pool=pool)
    encoders = tmp_path / "tuned" / "text-only-seed0"
    stores = [*tuned.stores, FeatureStore.open(tmp_path / "tuned" / "text-tokens-seed0")]
    folder, records = tmp_path / "stored", tuned.records
    stored = Reproduction(tuned.plan, records, stores, folder, folder / "experiments", encoders)
    stored.run()
    assert not list(folder.glob("text-tokens*"))
    assert load_config(folder / "text-only-seed0" / CONFIG_FILE).training.text_encoder == "frozen"
    for name in ("text-only-seed0", "proposed-seed0"):
        kept = folder / name / TEXT_ENCODER_FILE
        assert kept.read_bytes() == (encoders / TEXT_ENCODER_FILE).read_bytes()
    # The same tokens, and a row that tunes nothing: the same network.
    for part in ("proposed-seed0/model.safetensors", "proposed-seed0/config.yaml"):
        assert (folder / part).read_bytes() == (tmp_path / "tuned" / part).read_bytes()
    with pytest.raises(AvtError, match="encoders-checkpoint"):
        Reproduction(tuned.plan, records, stores, tmp_path / "none", folder).run()
    # Words of an encoder as it comes: the checkpoint names that one, whatever tuned one is at hand.
    manifest = stores[-1].folder / "manifest.json"
    made = json.loads(manifest.read_text())
    del made["extractor"]["text"]["tuned_sha256"]
    manifest.write_text(json.dumps(made))
    stores = [*tuned.stores, FeatureStore.open(stores[-1].folder)]
    folder = tmp_path / "plain"
    shipped = CHECKPOINTS / "embedded"
    Reproduction(tuned.plan, records, stores, folder, folder / "experiments", shipped).run()
    config = load_config(folder / "proposed-seed0" / CONFIG_FILE)
    assert config.text == tuned.plan.settings(tuned.plan.text, 0).text
    assert not (folder / "proposed-seed0" / TEXT_ENCODER_FILE).exists()


def test_a_table_without_the_proposed_network_has_no_picture(tmp_path: Path) -> None:
    small_reproduction(tmp_path, "few", rows=("Late fusion",)).run()
    written = {path.name for path in (tmp_path / "few" / "experiments").iterdir()}
    assert written == {"results.csv", "results.md"}


def test_a_run_begins_when_what_it_builds_on_is_done() -> None:
    submitted: list[str] = []
    futures: dict[str, Future[str]] = {}

    def submit(name: str) -> Future[str]:
        submitted.append(name)
        futures[name] = Future()
        for done in {"text": "", "row": "row", "other text": "other text,text"}[name].split(","):
            if done:
                futures[done].set_result(done.upper())
        return futures[name]

    needs = {"text": set[str](), "row": {"text"}, "other text": set[str]()}
    results = list(done_in_order(needs, submit))
    assert results == [(name, name.upper()) for name in needs]
    assert submitted == ["text", "other text", "row"]


def test_the_shipped_recipe_has_the_rows_of_the_paper() -> None:
    plan = load_plan(MELD_RECIPE)
    seeds = {row.name: row.seeds for row in (plan.text, *plan.rows)}
    for name in ("Text-only", "Audio-Text MemoCMT", "AVT late fusion", "AVT-MemoCMT"):
        assert seeds[name] == 5
    assert all(seeds[row.name] >= 3 for row in plan.rows)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"name": "x", "seeds": 1, "set": ["model.heads=3"]}, "heads"),
        ({"name": "x", "seeds": 1, "set": ["model.haeds=2"]}, "haeds"),
        ({"name": "x", "of": "nobody", "shuffle": "audio"}, "nobody"),
        ({"name": "x", "shuffle": "audio"}, "belong together"),
        ({"name": "Late fusion"}, "same name"),
        ({"name": "x", "seeds": 9}, "more seeds"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(
    tmp_path: Path, row: dict[str, object], message: str
) -> None:
    path = make_recipe(tmp_path)
    recipe = yaml.safe_load(path.read_text())
    recipe["rows"].append(row)
    path.write_text(yaml.safe_dump(recipe))
    with pytest.raises(AvtError, match=message):
        load_plan(path)
