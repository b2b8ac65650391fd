"""`avt-memocmt explain --features`: what a whole split of stored features was decided from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avt_memocmt.commands.check_explanations import require_gradients
from avt_memocmt.commands.console import log, step_progress
from avt_memocmt.errors import AvtError
from avt_memocmt.files import writable_folder

if TYPE_CHECKING:
    from avt_memocmt.config import Config
    from avt_memocmt.data.feature_store import FeatureStore
    from avt_memocmt.features.text_tokenizer import TextTokenizer


def explain_split(features: Sequence[Path], split: str, checkpoint: str, out: Path) -> None:
    """Write contributions by emotion, the surest hits and misses with their maps, and a table.

    Args:
        features: folders of feature stores, joined by utterance.
        split: of the stores.
        checkpoint: its folder or name.
        out: folder for the results.

    Raises:
        AvtError: as of `evaluate_stores`, or the folder cannot be written.
    """
    require_gradients(checkpoint)
    from avt_memocmt.data.feature_store import FeatureStore
    from avt_memocmt.data.set_baselines import with_baselines
    from avt_memocmt.evaluation.contributions import measure_contributions
    from avt_memocmt.evaluation.on_features import checkpoint_dialogues
    from avt_memocmt.explainability.stored_attention import stored_attention
    from avt_memocmt.models.avt_memocmt import AvtMemoCmt
    from avt_memocmt.models.checkpoint import checkpoint_folder, load_model, require_emotions
    from avt_memocmt.report.split_folder import (
        PAGE_FILE,
        TABLE_FILE,
        Pick,
        picked_places,
        write_split_explanation,
    )

    folder = checkpoint_folder(checkpoint)
    stores = [FeatureStore.open(store) for store in features]
    writable_folder(out)
    model, config = load_model(folder)
    require_emotions(folder, config)
    heard = _heard(model.modalities, stores, config)
    dialogues = with_baselines(checkpoint_dialogues(folder, config, stores, split, heard), "past")
    with step_progress(f"explaining {split}", 1 + len(model.modalities)) as advance:
        found = measure_contributions(model, config, dialogues, advance)
    turns = [turn for dialogue in dialogues for turn in dialogue.turns]
    tokenizer = _tokenizer(config)
    picks = []
    for place, outcome in picked_places(found):
        turn, attention = turns[place], None
        if isinstance(model, AvtMemoCmt) and turn.tokens:
            attention = stored_attention(model, config, turn, tokenizer)
        picks.append(Pick(place, outcome, turn.words.text, attention))
    write_split_explanation(found, picks, f"{folder.resolve().name} on {split}", out)
    log.print(f"wrote {out / PAGE_FILE} and {TABLE_FILE}, {len(picks)} decisions in detail")


def _heard(
    modalities: Sequence[str], stores: Sequence[FeatureStore], config: Config
) -> tuple[str, ...]:
    """The network's modalities that the stores hold; words are encoded where they lack them."""
    held = {m for store in stores for m in store.manifest.modalities}
    if config.text.fine_tuned:
        held.add("text")
    absent = [m for m in modalities if m not in held]
    if absent:
        log.print(f"the features hold no {' and no '.join(absent)}, which count as absent")
    return tuple(m for m in modalities if m in held)


def _tokenizer(config: Config) -> TextTokenizer | None:
    """The tokenizer of the network's words; None where it reads none or it is not at hand."""
    from avt_memocmt.features.extract_text_features import load_text_tokenizer

    if "text" not in config.model.modalities:
        return None
    try:
        return load_text_tokenizer(config.text)
    except AvtError as error:
        log.print(f"word pieces are named by their times, not their words: {error}")
        return None
