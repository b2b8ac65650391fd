"""`avt-memocmt explain`: media or a split in, the reasons of the network's decisions out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avt_memocmt.commands.check_explanations import check_explanations, require_gradients
from avt_memocmt.commands.console import Checkpoint, Transcript, counted_progress, log
from avt_memocmt.commands.explain_split import explain_split
from avt_memocmt.commands.loading import load_recognizer
from avt_memocmt.config import PathsConfig
from avt_memocmt.errors import AvtError
from avt_memocmt.files import writable_folder

if TYPE_CHECKING:
    from avt_memocmt.explainability.explanation import MediaExplanation

ATTENTION_MAPS = PathsConfig().experiments / "attention_maps"
FIRST = 8
"""Utterances that are explained where none are named."""

_RANGE = re.compile(r"([1-9]\d{0,5})(?:-([1-9]\d{0,5}))?")


def _known_numbers(text: str | None) -> str | None:
    _numbers(text)
    return text


Utterances = Annotated[
    str | None,
    typer.Option(
        callback=_known_numbers,
        help=f"Which ones, such as 1,4-6; the first {FIRST} where none are named.",
    ),
]


def explain(
    media: Annotated[
        Path | None, typer.Argument(help="One video, recording or picture.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for report.html, figures and numbers; unless given one in "
            f"{ATTENTION_MAPS}, named after the media or the split."
        ),
    ] = None,
    transcript: Transcript = None,
    utterances: Utterances = None,
    emotion: Annotated[
        str | None, typer.Option(help="Explain this emotion, not the likeliest.")
    ] = None,
    plus_plus: Annotated[
        bool, typer.Option("--plus-plus", help="Grad-CAM++ on the faces.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Test the explanations too; takes many times as long.")
    ] = False,
    checkpoint: Checkpoint = "embedded",
    features: Annotated[
        list[Path] | None,
        typer.Option(
            help="Explain a whole split of this feature store, in place of media; repeated, the "
            "stores are joined by utterance."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Which split of the features.")] = "dev",
    limit: Annotated[int, typer.Option(min=1, hidden=True, help="See check-explanations.")] = 100,
) -> None:
    """Show why an emotion was recognised: in faces, sound and words, on one page."""
    if features:
        if check or any(o is not None for o in (media, transcript, utterances, emotion)):
            raise AvtError("--features explains a whole split; give it with --split alone.")
        return explain_split(features, split, checkpoint, out or ATTENTION_MAPS / split)
    if media is None:
        raise typer.BadParameter("give media, or a feature store with --features.")
    out = out or ATTENTION_MAPS / media.stem
    if media.suffix.lower() == ".csv":
        if not check or any(o is not None for o in (transcript, utterances, emotion)) or plus_plus:
            raise AvtError(f"{media} is a manifest; give it with --check and --limit alone.")
        return check_explanations(media, out, limit, checkpoint)  # the older way to call it
    found, frames_per_second = explained_media(
        media,
        transcript,
        utterances,
        checkpoint,
        out,
        emotion=emotion,
        plus_plus=plus_plus,
        check=check,
    )
    from avt_memocmt.report.explanation_folder import write_explanation

    write_explanation(found, media, frames_per_second, out)
    log.print(f"wrote {out / 'report.html'} and the numbers and figures beside it")
    refuse_missing(found, media, utterances)


def explained_media(
    media: Path,
    transcript: str | None,
    utterances: str | None,
    checkpoint: str,
    folder: Path,
    *,
    emotion: str | None = None,
    plus_plus: bool = False,
    check: bool = False,
) -> tuple[MediaExplanation, float]:
    """Explain one file.

    Args:
        media, transcript, utterances, checkpoint, emotion, plus_plus, check: as of `explain`.
        folder: where the results go; made before the long work, so that it can be refused.

    Returns:
        The explanation, and how many pictures a second were read.
    """
    require_gradients(checkpoint)
    from avt_memocmt.emotions import emotion_index
    from avt_memocmt.preprocessing.transcripts import load_transcript

    if emotion is not None:
        emotion_index(emotion)
    cues = None if transcript is None else load_transcript(transcript)
    writable_folder(folder)
    recognizer = load_recognizer(checkpoint)
    with counted_progress(str(media)) as advance:
        found = recognizer.explain(
            media,
            cues,
            utterances={number - 1 for number in _numbers(utterances)},
            emotion=emotion,
            plus_plus=plus_plus,
            check=check,
            progress=advance,
        )
    return found, recognizer.config.visual.frames_per_second


def refuse_missing(found: MediaExplanation, media: Path, utterances: str | None) -> None:
    """End with an error where an utterance that was asked for is not there.

    Where none were asked for, say how to ask for those that were left out.
    """
    count, largest = len(found.prediction.utterances), max(_numbers(utterances))
    if utterances is None and count > FIRST:
        log.print(
            f"explained the first {FIRST} of {count} utterances; ask for others with, for "
            f"instance, --utterances {FIRST + 1}"
        )
    if utterances is not None and largest > count:
        held = "1 utterance" if count == 1 else f"{count} utterances"
        raise AvtError(
            f"{media} has {held}, so there is no utterance {largest}; give --utterances numbers "
            f"from 1 to {count}."
        )


def _numbers(text: str | None) -> frozenset[int]:
    """Utterance numbers, from 1, of a list such as "1,4-6"; the first `FIRST` of None."""
    if text is None:
        return frozenset(range(1, FIRST + 1))
    found: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise typer.BadParameter(
                f"{part!r} is no number or range of utterances; write, for instance, 1,4-6."
            )
        found.update(range(first, last + 1))
    return frozenset(found)
