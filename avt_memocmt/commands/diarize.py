"""`diarize` says who speaks when in a recording, `evaluate-speakers` how right that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from avt_memocmt.commands.console import (
    JsonFile,
    MaxSpeakers,
    MinSpeakers,
    counted_progress,
    exit_after,
    log,
    output,
    print_lines,
    recorded,
)
from avt_memocmt.errors import AvtError
from avt_memocmt.extras import require_extra
from avt_memocmt.files import write_text_atomically
from avt_memocmt.json_files import json_text
from avt_memocmt.wording import counted

if TYPE_CHECKING:
    from avt_memocmt.inference.speaker_settings import SpeakerSettings
    from avt_memocmt.speakers.diarization import Diarization
    from avt_memocmt.speakers.diarizer import Diarizer
    from avt_memocmt.speakers.error_rate import ErrorRate, Reference, Score


def diarize(
    media: Annotated[Path, typer.Argument(help="A recording or a film.")],
    out: Annotated[
        Path | None, typer.Option(help="The RTTM file to write; stdout unless given.")
    ] = None,
    speakers: Annotated[
        str, typer.Option(metavar="auto|N", help="How many speak; auto finds it out.")
    ] = "auto",
    min_speakers: MinSpeakers = None,
    max_speakers: MaxSpeakers = None,
) -> None:
    """Say who speaks when in a recording, as RTTM."""
    from avt_memocmt.speakers.diarizer import Diarizer
    from avt_memocmt.speakers.rttm import rttm_text

    who = _wishes(speakers, min_speakers, max_speakers)
    found = _diarize_file(Diarizer(), media, who, who.known_count)
    text = rttm_text(media.stem, found.turns)
    if out is not None:
        write_text_atomically(out, text)
    elif text:
        print_lines(text.removesuffix("\n"))
    log.print(f"{counted(len(found.speakers), 'speaker')}, {counted(len(found.turns), 'turn')}")


def _wishes(count: str, least: int | None, most: int | None) -> SpeakerSettings:
    """What is asked for, as of `predict`, but somebody has to be told apart."""
    from avt_memocmt.inference.speaker_settings import speaker_settings

    if count == "off":
        raise AvtError("--speakers off finds nobody; give auto or a number.")
    return speaker_settings(count, least, most)


def _diarize_file(
    diarizer: Diarizer, media: Path, who: SpeakerSettings, count: int | None
) -> Diarization:
    from avt_memocmt.inference.hear_speakers import sound_of
    from avt_memocmt.media.reader import MediaReader

    with counted_progress(str(media)) as show, MediaReader(media, only="audio") as reader:
        return diarizer.diarize(sound_of(reader, show), count, who.least, who.most)


def evaluate_speakers(
    found: Annotated[
        list[Path], typer.Argument(help="Recordings to diarise, or RTTM files to score.")
    ],
    reference: Annotated[Path, typer.Option(help="RTTM file of who really speaks when.")],
    uem: Annotated[
        Path | None,
        typer.Option(help="UEM file of what is scored; all up to the last turn unless given."),
    ] = None,
    json_file: JsonFile = None,
    speakers: Annotated[
        str,
        typer.Option(
            metavar="auto|known|N", help="How many speak; known takes the reference's number."
        ),
    ] = "auto",
    min_speakers: MinSpeakers = None,
    max_speakers: MaxSpeakers = None,
) -> None:
    """Measure the diarisation error rate: missed, false alarm, confusion; overlap counts."""
    from avt_memocmt.speakers.diarizer import Diarizer
    from avt_memocmt.speakers.error_rate import Reference
    from avt_memocmt.speakers.rttm import NamedTurn

    require_extra("speakers", ("pyannote.metrics",), "evaluate-speakers needs")
    truth = Reference(reference, uem)
    is_known = speakers == "known"
    who = _wishes("auto" if is_known else speakers, min_speakers, max_speakers)
    scores: list[Score] = []
    failures: list[tuple[str, str]] = []
    hypotheses = [path for path in found if path.suffix.lower() == ".rttm"]
    for path in hypotheses:
        with recorded(failures, path):
            scores += _scores_of_rttm(path, truth, failures)
    diarizer = Diarizer()
    for path in found:
        if path not in hypotheses:
            with recorded(failures, path):
                count = truth.count(path.stem) if is_known else who.known_count
                turns = _diarize_file(diarizer, path, who, count).turns
                named = [NamedTurn(turn.start, turn.end, str(turn.speaker)) for turn in turns]
                scores.append(truth.score(path.stem, named))
    if scores:
        _report(scores, failures, json_file)
    left_out = len(set(truth) - {score.recording for score in scores})
    if left_out:
        log.print(f"{left_out} of {len(list(truth))} recordings of {reference} were not scored")
    exit_after(failures)


def _scores_of_rttm(
    path: Path, truth: Reference, failures: list[tuple[str, str]]
) -> Iterator[Score]:
    """A score for each recording of an RTTM file; one that cannot be scored is a failure."""
    from avt_memocmt.speakers.rttm import read_rttm

    for recording, turns in read_rttm(path).items():
        with recorded(failures, path):
            yield truth.score(recording, turns)


def _report(
    scores: Sequence[Score], failures: Sequence[tuple[str, str]], json_file: Path | None
) -> None:
    """Print the table, and write the JSON file where one is asked for."""
    from avt_memocmt.speakers.error_rate import COLLAR, sum_of

    strict = sum_of(score.strict for score in scores)
    lenient = sum_of(score.lenient for score in scores)
    headings = ("speakers", "found", "DER", "missed", "false alarm", "confusion")
    table = Table("recording", box=None)
    for heading in (*headings, f"DER, collar {COLLAR:g} s"):
        table.add_column(heading, justify="right")
    for score in scores:
        numbers = str(score.true_speakers), str(score.found_speakers)
        table.add_row(score.recording, *numbers, *_cells(score.strict, score.lenient))
    table.add_row("all", "", "", *_cells(strict, lenient))
    output.print(table)
    if json_file is not None:
        figures = {
            "der": strict.rate,
            "no_collar": _figures(strict),
            f"collar_{COLLAR:g}": _figures(lenient),
            "recordings": [
                {
                    "recording": score.recording,
                    "speakers": score.true_speakers,
                    "found": score.found_speakers,
                    "no_collar": _figures(score.strict),
                    f"collar_{COLLAR:g}": _figures(score.lenient),
                }
                for score in scores
            ],
            "failed": [{"file": name, "reason": reason} for name, reason in failures],
        }
        write_text_atomically(json_file, json_text(figures, indent=2) + "\n")


def _cells(strict: ErrorRate, lenient: ErrorRate) -> list[str]:
    """Error rates as the cells of a row."""
    shares = (strict.rate, *strict.shares, lenient.rate)
    return [f"{share:.3f}" for share in shares]


def _figures(rate: ErrorRate) -> dict[str, float]:
    """An error rate for JSON: seconds, and the errors as shares of the speech."""
    names = ("missed", "false_alarm", "confusion")
    shares = dict(zip(names, rate.shares, strict=True))
    return {"der": rate.rate, **shares, "speech_seconds": rate.total}
