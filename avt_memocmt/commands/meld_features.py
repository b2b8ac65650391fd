"""The features of the MELD release that the settings name, extracted where they are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avt_memocmt.commands.console import counted_progress, log
from avt_memocmt.config import Config
from avt_memocmt.errors import AvtError

if TYPE_CHECKING:
    from avt_memocmt.data.feature_store import FeatureStore


def meld_store(config: Config) -> FeatureStore:
    """Index `paths.meld` and extract what `paths.features` lacks.

    Raises:
        AvtError: the release is not there, or the store was made by another extractor.
    """
    from avt_memocmt.data.feature_store import FeatureStore
    from avt_memocmt.data.meld import meld_records
    from avt_memocmt.inference.extraction import default_checkpoint
    from avt_memocmt.inference.extraction_plan import ExtractionPlan
    from avt_memocmt.inference.extraction_run import Extraction
    from avt_memocmt.inference.worker_pool import default_workers

    if not config.paths.meld.is_dir():
        raise AvtError(
            f"{config.paths.meld} is missing; put the MELD release there, name it with "
            "--set paths.meld=FOLDER, or give extracted features with --features."
        )
    plan = ExtractionPlan.of(meld_records(config.paths.meld))
    extraction = Extraction(plan, config, default_checkpoint(config), config.paths.features)
    with counted_progress("extracting") as show:
        failures = extraction.run(default_workers(), progress=show)
    for failure in failures:
        log.print(f"failed: {failure.key}: {failure.reason}", style="red", markup=False)
    return FeatureStore.open(config.paths.features)
