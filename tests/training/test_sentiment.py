"""The sentiment, MELD's third label: from its tables to a second head, its figures and output."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from command_line import run
from conversation_factory import conversation, spoken
from media_factory import speech_like, write_wav
from meld_factory import Row, write_table
from safetensors.torch import load_file
from sklearn.metrics import f1_score
from store_factory import SENTIMENT_OF_EMOTION, make_config, make_store

from avt_memocmt import EmotionRecognizer
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.data.index import UNLABELLED, UtteranceRecord, read_index, write_index
from avt_memocmt.data.labelled_dialogues import load_dialogues, sentiments_of
from avt_memocmt.data.meld.index import meld_records
from avt_memocmt.emotions import SENTIMENTS
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.answers import SentimentAnswers
from avt_memocmt.evaluation.on_features import evaluate_stores
from avt_memocmt.extraction.plan import ExtractionPlan, read_source
from avt_memocmt.inference.results import to_json
from avt_memocmt.inference.results_json import prediction_from_json, prediction_schema
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import (
    build_model,
    checkpoint_folder,
    load_model,
    save_checkpoint,
)
from avt_memocmt.training.dialogues import train_dialogues

LABELS = ("negative", "neutral", "Positive", "")


def write_manifest(path: Path, *sentiments: str) -> Path:
    rows = "".join(f",so what,neutral,{sentiment}\n" for sentiment in sentiments)
    path.write_text(f"path,text,emotion,sentiment\n{rows}")
    return path


def test_the_label_is_read_from_melds_tables_manifests_and_indexes(tmp_path: Path) -> None:
    rows = [Row(0, i, "words", sentiment=label) for i, label in enumerate(LABELS)]
    write_table(tmp_path / "meld" / "dev_sent_emo.csv", rows)
    records = meld_records(tmp_path / "meld", "dev")
    assert [record.sentiment for record in records] == [0, 1, 2, UNLABELLED]
    write_index(records, tmp_path / "index.parquet")
    assert read_index(tmp_path / "index.parquet") == records
    manifest = write_manifest(tmp_path / "clips.csv", *LABELS)
    assert [row.sentiment for row in read_source(manifest)] == [0, 1, 2, UNLABELLED]


def test_a_label_that_is_no_sentiment_is_named_by_its_line(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path / "clips.csv", "neutral", "glad")
    with pytest.raises(AvtError, match="line 3: unknown sentiment 'glad'; use one of negative"):
        read_source(manifest)
    write_table(tmp_path / "dev_sent_emo.csv", [Row(0, 0, "words", sentiment="2")])
    with pytest.raises(AvtError, match="line 2: unknown sentiment '2'"):
        meld_records(tmp_path, "dev")


def test_corpora_without_the_label_are_stored_as_before(tmp_path: Path) -> None:
    plain = make_store(tmp_path / "plain")
    labelled = make_store(tmp_path / "labelled", sentiments=True)
    names = [pq.read_schema(store.shard_path(0)).names for store in (plain, labelled)]
    assert "sentiment" not in names[0]
    assert set(names[1]) - set(names[0]) == {"sentiment"}
    again = FeatureStore.create(tmp_path / "again", plain.manifest)
    bare = [replace(row, sentiment=UNLABELLED) for row in labelled.rows()]
    again.write_shard(0, bare)
    assert again.shard_path(0).read_bytes() == plain.shard_path(0).read_bytes()
    record = UtteranceRecord("dev", 0, 0, None, "words", 1)
    write_index([record], tmp_path / "index.parquet")
    assert "sentiment" not in pq.read_schema(tmp_path / "index.parquet").names
    # What version 0.1.0 wrote into source.json for this record.
    assert ExtractionPlan.of([record]).fingerprint().startswith("d411de9f795f")
    known = replace(record, sentiment=0)
    assert ExtractionPlan.of([known]).fingerprint() == ExtractionPlan.of([record]).fingerprint()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FeatureStore]:
    """A network with the head, and the store that it was trained on."""
    folder = tmp_path_factory.mktemp("sentiment")
    store = make_store(folder / "store", dialogues=30, sentiments=True)
    config = make_config(epochs=8, sentiment_weight=0.5)
    return train_dialogues(config, [store], folder / "run", name="both"), store


def test_the_head_learns_and_its_figures_are_reported(
    trained: tuple[Path, FeatureStore],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, store = trained
    arguments = ["evaluate", "--features", str(store.folder), "--checkpoint", str(folder)]
    arguments += ["--json", str(tmp_path / "figures.json"), "--experiments", str(tmp_path)]
    status, stdout, stderr = run(arguments, monkeypatch, capsys)
    assert status == 0, stderr
    figures = json.loads((tmp_path / "figures.json").read_text())["sentiment"]
    assert figures["n"] == sum(1 for _ in store.rows("dev", ()))
    assert figures["weighted_f1"] > 0.8
    assert f"sentiment: weighted_f1 {figures['weighted_f1']:.4f}" in " ".join(stdout.split())
    with (tmp_path / "results.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    for name in ("accuracy", "weighted_f1", "uar"):
        assert float(row[f"sentiment_{name}"]) == pytest.approx(figures[name], abs=1e-6)


def test_without_a_weight_there_is_no_head_and_the_label_changes_nothing(tmp_path: Path) -> None:
    found = []
    for name, sentiments in (("plain", False), ("labelled", True)):
        store = make_store(tmp_path / name, sentiments=sentiments)
        folder = train_dialogues(make_config(epochs=1), [store], tmp_path / f"{name}_run", name="x")
        found.append(load_file(folder / "model.safetensors"))
        evaluation, _ = evaluate_stores(folder, [store], "dev")
        assert "sentiment" not in evaluation.report()
    assert not any("sentiment" in name for name in found[0])
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[1])


def test_the_label_must_be_there_and_the_network_must_have_a_head(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    with pytest.raises(AvtError, match="no utterance of the train split has a sentiment"):
        train_dialogues(make_config(sentiment_weight=1), [store], tmp_path / "run", name="x")
    config = make_config(sentiment_weight=1)
    model = config.model.model_copy(update={"kind": "text-only"})
    with pytest.raises(AvtError, match="text-only has no head for the sentiment"):
        build_model(config.model_copy(update={"model": model}))


def test_the_figures_agree_with_scikit_learn_and_count_failures_as_errors(
    trained: tuple[Path, FeatureStore],
) -> None:
    folder, store = trained
    evaluation, _ = evaluate_stores(folder, [store], "dev")
    answers = evaluation.sentiment
    assert answers is not None
    dialogues = load_dialogues([store], "dev", ())
    emotions = np.concatenate([dialogue.emotions for dialogue in dialogues])
    assert answers.truth.tolist() == [SENTIMENT_OF_EMOTION[e] for e in emotions]
    assert sentiments_of(dialogues).tolist() == answers.truth.tolist()
    guesses = answers.probabilities.argmax(axis=1)
    expected = f1_score(answers.truth, guesses, average="weighted")
    assert answers.figures()["weighted_f1"] == pytest.approx(expected)
    perfect = SentimentAnswers(np.array([0, 1, 2, UNLABELLED]), np.eye(4)[:, :3])
    assert perfect.figures() == {"n": 3, "accuracy": 1.0, "weighted_f1": 1.0, "uar": 1.0}
    assert perfect.with_failed([2, UNLABELLED]).figures()["accuracy"] == 0.75


def test_a_prediction_says_the_sentiment_where_the_checkpoint_has_it(
    recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    shipped = checkpoint_folder("embedded")
    model, config = load_model(shipped)
    assert isinstance(model, AvtMemoCmt)
    assert model.sentiment_head is None
    model.add_sentiment_head(0.0)
    training = config.training.model_copy(update={"sentiment_weight": 0.3})
    for name in ("text_encoder.safetensors", "face_cnn.safetensors"):
        (tmp_path / name).symlink_to(shipped / name)
    save_checkpoint(tmp_path, model, config.model_copy(update={"training": training}), {})
    voice = write_wav(tmp_path / "voice.wav", speech_like(0.6))
    before, after = (
        to_json(loaded.predict(voice, "I am glad."))
        for loaded in (recognizer, EmotionRecognizer.from_pretrained(tmp_path))
    )
    (utterance,) = after["utterances"]
    chances = utterance.pop("sentiment_probabilities")
    assert tuple(chances) == SENTIMENTS
    assert sum(chances.values()) == pytest.approx(1, abs=2e-4)
    assert utterance.pop("sentiment") == max(chances, key=chances.__getitem__)
    assert after == before


def test_the_sentiment_is_in_the_schema_and_read_back() -> None:
    with_it = conversation(
        spoken(0, 1, None, "joy", sentiment_probabilities=(0.49999, 0.00001, 0.5)),
        spoken(1, 2, None, "joy"),
    )
    written = to_json(with_it)
    assert written["utterances"][0]["sentiment"] == "positive"
    assert "sentiment" not in written["utterances"][1]
    jsonschema.validate(written, prediction_schema())
    first, second = prediction_from_json(written).utterances
    assert (first.sentiment, second.sentiment) == ("positive", None)
    assert to_json(prediction_from_json(written)) == written
