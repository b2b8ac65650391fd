"""`avt-memocmt explain --features`: contributions, picks, maps, the table and the page."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import run
from page_reader import Page
from store_factory import make_config, make_store

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.data.labelled_dialogues import load_dialogues
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.evaluation.contributions import measure_contributions
from avt_memocmt.explainability.stored_attention import stored_attention
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import build_model, load_model, save_checkpoint, token_dims
from avt_memocmt.models.predict import predict_dialogues
from avt_memocmt.training.dialogues import with_features


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make_store(tmp_path_factory.mktemp("store"))


def make_checkpoint(
    folder: Path, store: FeatureStore, kind: str = "avt-memocmt", modalities: tuple = MODALITIES
) -> Path:
    config = with_features(make_config(), [store], modalities)
    model = config.model.model_copy(update={"kind": kind, "modalities": modalities})
    config = config.model_copy(update={"model": model})
    torch.manual_seed(0)
    model = build_model(config)
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_(torch.randn_like(weights) * 0.3)
    save_checkpoint(folder, model, config, {"model": "made"})
    return folder


@pytest.fixture(scope="module")
def checkpoint(store: FeatureStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("made"), store)


def test_contributions_are_what_leaving_a_modality_out_changes(
    store: FeatureStore, checkpoint: Path
) -> None:
    model, config = load_model(checkpoint)
    dialogues = load_dialogues([store], "dev", MODALITIES)
    found = measure_contributions(model, config, dialogues)
    dims = token_dims(config)
    whole, lacking = (
        predict_dialogues(model, given, dims).logits.double().softmax(dim=1).numpy()
        for given in (dialogues, [d.only({"audio", "text"}) for d in dialogues])
    )
    seen = np.array(["visual" in turn.tokens for d in dialogues for turn in d.turns])
    assert seen.any()
    assert not seen.all()
    rows = np.arange(len(seen))
    change = (whole - lacking)[rows, whole.argmax(axis=1)]
    assert found.changes["visual"][seen] == pytest.approx(change[seen])
    assert np.isnan(found.changes["visual"][~seen]).all()
    assert np.isnan(found.weights["visual"][~seen]).all()
    assert np.nansum(list(found.weights.values()), axis=0) == pytest.approx(np.ones(len(seen)))
    groups = found.groups()
    assert sum(group.n for group in groups) == len(seen)
    right = sum(group.n for group in groups if group.outcome == "right")
    assert right == (whole.argmax(axis=1) == found.truth).sum()
    most = found.places(int(found.truth[0]), "wrong")
    assert (np.diff(found.confidence[most]) <= 0).all()


def test_attention_on_stored_tokens_is_that_of_the_whole_pass(
    store: FeatureStore, checkpoint: Path
) -> None:
    model, config = load_model(checkpoint)
    assert isinstance(model, AvtMemoCmt)
    dialogues = load_dialogues([store], "dev", MODALITIES)[:1]
    turn = dialogues[0].turns[0]
    weights = predict_dialogues(model, dialogues, token_dims(config)).modality_weights
    assert weights is not None
    found = stored_attention(model, config, turn, None)
    names = ("state", "pitch", "level", "rate")
    assert found.axes["audio"].labels == names
    whole = dict(zip(MODALITIES, weights[0].tolist(), strict=True))
    assert found.gate == pytest.approx({m: whole[m] for m in found.axes})
    assert sum(found.gate.values()) == pytest.approx(1)
    for (target, source), weights in found.maps.items():
        assert weights.shape[2:] == tuple(len(found.axes[m].labels) for m in (target, source))
        assert weights.sum(axis=-1) == pytest.approx(np.ones(weights.shape[:-1]), abs=1e-5)
    assert found.turns.size == 0


def test_a_split_is_explained_on_a_page_with_a_table_and_maps(
    store: FeatureStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint = make_checkpoint(tmp_path / "made", store, modalities=("audio", "text"))
    arguments = ["explain", "--features", str(store.folder), "--checkpoint", str(checkpoint)]
    status, _, stderr = run(arguments, monkeypatch, capsys)
    assert status == 0, stderr
    out = tmp_path / "experiments" / "attention_maps" / "dev"
    with (out / "utterances.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(1 for _ in store.rows("dev", ()))
    assert {row["label"] for row in rows} <= set(EMOTIONS)
    page = Page((out / "report.html").read_text(encoding="utf-8"))
    right = sum(row["label"] == row["decision"] for row in rows)
    assert f"{right} of {len(rows)} utterances with a label were decided rightly" in page.text
    maps = sorted(path.stem for path in out.glob("*_dev_dia*.png"))
    for emotion in {row["label"] for row in rows}:
        own = [row for row in rows if row["label"] == emotion]
        for outcome, kept in (
            ("right", [row for row in own if row["decision"] == emotion]),
            ("wrong", [row for row in own if row["decision"] != emotion]),
        ):
            named = [name for name in maps if name.startswith(f"{emotion}_{outcome}")]
            assert len(named) == bool(kept)
            if kept:
                best = max(kept, key=lambda row: float(row["confidence"]))
                assert named == [f"{emotion}_{outcome}_{best['utterance'].replace(' ', '_')}"]


def test_a_network_without_attention_has_contributions_alone(
    store: FeatureStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    baseline = make_checkpoint(tmp_path / "text", store, "text-only")
    options = ["--checkpoint", str(baseline), "--out", str(tmp_path / "out")]
    status, _, stderr = run(
        ["explain", "--features", str(store.folder), *options], monkeypatch, capsys
    )
    assert status == 0, stderr
    assert not list((tmp_path / "out").glob("*_dev_dia*.png"))
    assert "No map" in Page((tmp_path / "out" / "report.html").read_text()).text
    with (tmp_path / "out" / "utterances.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert row["change_text"]
    assert row["change_audio"] == row["weight_text"] == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--features", "nowhere"], "nowhere is no feature store"),
        (["--features", "STORE", "--split", "test"], "no utterance of the split test"),
        (["--features", "STORE", "--checkpoint", "nowhere"], "nowhere is no checkpoint"),
        (["--features", "STORE", "--checkpoint", "embedded"], "trained on other features"),
        (["clip.mp4", "--features", "STORE"], "--features explains a whole split"),
        ([], "give media, or a feature store"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(
    arguments: list[str],
    said: str,
    store: FeatureStore,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [str(store.folder) if word == "STORE" else word for word in arguments]
    if "--checkpoint" not in given and given:
        given += ["--checkpoint", str(checkpoint)]
    monkeypatch.chdir(tmp_path)
    status, stdout, stderr = run(["explain", *given], monkeypatch, capsys)
    assert status
    assert stdout == ""
    assert said in " ".join(stderr.replace("│", " ").split())
    assert "Traceback" not in stderr
