"""Measures a checkpoint on a MELD folder: its clips, or its transcripts if there are no clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avt_memocmt.config import Config, Modality
from avt_memocmt.data.baseline_scope import BaselineScope
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.data.index import UtteranceRecord
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.evaluation import Evaluation, FailedRow, dialogue_name
from avt_memocmt.evaluation.on_features import evaluate_stores
from avt_memocmt.evaluation.provenance import Provenance
from avt_memocmt.extraction.plan import ExtractionPlan
from avt_memocmt.extraction.run import Extraction, Progress
from avt_memocmt.files import writable_folder


def evaluate_records(
    folder: Path,
    config: Config,
    records: Sequence[UtteranceRecord],
    work: Path,
    *,
    speaker_baseline: BaselineScope = "past",
    workers: int = 1,
    progress: Progress = lambda done, total: None,
) -> tuple[Evaluation, Provenance]:
    """Extract the features that a checkpoint needs, then measure it; extraction can be resumed.

    A clip that cannot be extracted counts as an error and is listed. Where no utterance has a clip,
    the network gets the words alone.

    Args:
        folder: of the checkpoint.
        config: of the checkpoint, perhaps with other paths to its encoders.
        records: one split, all labelled, as of `meld_records`.
        work: folder of the feature store.
        speaker_baseline: which utterances of its speaker in the split one is judged against.
        workers: processes of the extraction.
        progress: of the extraction.

    Raises:
        AvtError: weights are missing, the store was made by another extractor, or there are neither
            clips nor a network that reads.
    """
    modalities = _modalities(config, records)
    model = config.model.model_copy(update={"modalities": modalities})
    writable_folder(work)
    extraction = Extraction(
        ExtractionPlan.of(records), config.model_copy(update={"model": model}), folder, work
    )
    failures = extraction.run(workers, progress=progress)
    store = FeatureStore.open(work)
    evaluation, provenance = evaluate_stores(
        folder, [store], records[0].split, modalities, speaker_baseline
    )
    known = {record.key: record for record in records}
    failed = [
        (
            FailedRow(str(f.key), f.path, f.reason),
            known[f.key].emotion,
            dialogue_name(f.key),
            known[f.key].sentiment,
        )
        for f in failures
    ]
    return evaluation.with_failed(failed), provenance


def _modalities(config: Config, records: Sequence[UtteranceRecord]) -> tuple[Modality, ...]:
    if any(record.path is not None for record in records):
        return config.model.modalities
    if "text" not in config.model.modalities:
        raise AvtError(
            f"the split {records[0].split} has transcripts alone, and the checkpoint reads no "
            "text; give the clips too, or a checkpoint that reads."
        )
    return ("text",)
