"""The labelled data that `avt-memocmt evaluate` accepts, each as a way to measure a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from avt_memocmt.commands.console import counted_progress, progress_bar
from avt_memocmt.commands.settings import resolve_config

if TYPE_CHECKING:
    from avt_memocmt.engines.names import Engine
    from avt_memocmt.evaluation.evaluation import Evaluation
    from avt_memocmt.evaluation.provenance import Provenance

    Measure = Callable[[Path], tuple[Evaluation, Provenance]]
    """Called with a checkpoint folder."""


def of_manifest(manifest: Path, transcribe: bool, engine: Engine = "torch") -> Measure:
    """Anybody's clips, read turn by turn.

    Args:
        transcribe: let the packaged recogniser listen where a row has no text.
        engine: what computes the networks.

    Raises:
        AvtError: the manifest is broken.
    """
    from avt_memocmt.api import EmotionRecognizer
    from avt_memocmt.data.manifest import read_manifest
    from avt_memocmt.evaluation.on_manifest import evaluate_manifest
    from avt_memocmt.evaluation.provenance import PAST_ONLY, checkpoint_provenance, data_sha256
    from avt_memocmt.pretrained import file_sha256

    dialogues = read_manifest(manifest)

    def measure(folder: Path) -> tuple[Evaluation, Provenance]:
        recognizer = EmotionRecognizer.from_pretrained(folder, engine)
        with progress_bar() as bar:
            task = bar.add_task("evaluating", total=sum(len(rows) for rows in dialogues))
            evaluation = evaluate_manifest(
                recognizer, dialogues, transcribe=transcribe, progress=lambda: bar.advance(task)
            )
        data = data_sha256(evaluation, [file_sha256(manifest)])
        found = checkpoint_provenance(folder, recognizer.config, manifest.name, data)
        return evaluation, replace(found, context=PAST_ONLY)

    return measure


def of_features(folders: Sequence[Path], split: str) -> Measure:
    """One split of feature stores.

    Raises:
        AvtError: a folder is no feature store.
    """
    from avt_memocmt.data.feature_store import FeatureStore
    from avt_memocmt.evaluation.on_features import evaluate_stores

    stores = [FeatureStore.open(folder) for folder in folders]
    return lambda folder: evaluate_stores(folder, stores, split)


def of_meld(meld: Path, split: str, work: Path, encoders: Path | None) -> Measure:
    """One split of a MELD folder; the features of each checkpoint are kept in a folder of `work`.

    Args:
        encoders: folder with audio/, visual/ and text/ in place of the checkpoint's encoders.

    Raises:
        AvtError: it is no MELD folder, or lacks the split.
    """
    from avt_memocmt.data.meld.index import meld_records
    from avt_memocmt.evaluation.on_meld import evaluate_records
    from avt_memocmt.models.checkpoint import CONFIG_FILE
    from avt_memocmt.workers import default_workers

    records = meld_records(meld, split)

    def measure(folder: Path) -> tuple[Evaluation, Provenance]:
        config = resolve_config(folder / CONFIG_FILE, encoders=encoders)
        store = work / f"{folder.resolve().name}-{split}"
        with counted_progress("extracting") as show:
            return evaluate_records(
                folder, config, records, store, workers=default_workers(), progress=show
            )

    return measure
