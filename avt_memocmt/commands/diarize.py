"""`diarize` says who speaks when in a recording, `evaluate-speakers` how right that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from avt_memocmt.commands.console import (
    JsonFile,
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

if TYPE_CHECKING:
    from avt_memocmt.speakers.diarization import Diarization
    from avt_memocmt.speakers.diarizer import Diarizer
    from avt_memocmt.speakers.error_rate import ErrorRate, Reference, Score

MOST_SPEAKERS = 50
Least = Annotated[
    int, typer.Option("--min-speakers", min=1, max=MOST_SPEAKERS, help="Find at least as many.")
]
Most = Annotated[
    int, typer.Option("--max-speakers", min=1, max=MOST_SPEAKERS, help="Find at most as many.")
]


def read_count(text: str) -> int | None:
    """The number of speakers that an option gives; None for "auto".

    Raises:
        AvtError: it is neither.
    """
    if text == "auto":
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_SPEAKERS:
        raise AvtError(
            f'--speakers {text} is no number of speakers; give "auto" or 1 to {MOST_SPEAKERS}.'
        )
    return int(text)


def diarize(
    media: Annotated[Path, typer.Argument(help="A recording or a film.")],
    out: Annotated[
        Path | None, typer.Option(help="The RTTM file to write; stdout unless given.")
    ] = None,
    speakers: Annotated[
        str, typer.Option(metavar="auto|N", help="How many speak; auto finds it out.")
    ] = "auto",
    min_speakers: Least = 1,
    max_speakers: Most = 20,
) -> None:
    """Say who speaks when in a recording, as RTTM."""
    from avt_memocmt.speakers.diarizer import Diarizer
    from avt_memocmt.speakers.rttm import rttm_text

    found = _diarize_file(Diarizer(), media, read_count(speakers), min_speakers, max_speakers)
    text = rttm_text(media.stem, found.turns)
    if out is not None:
        write_text_atomically(out, text)
    elif text:
        print_lines(text.removesuffix("\n"))
    log.print(f"{len(found.speakers)} speakers, {len(found.turns)} turns")


def _diarize_file(
    diarizer: Diarizer, media: Path, count: int | None, least: int, most: int
) -> Diarization:
    from avt_memocmt.inference.hear_speakers import sound_of
    from avt_memocmt.media.reader import MediaReader

    with counted_progress(str(media)) as show, MediaReader(media, only="audio") as reader:
        return diarizer.diarize(sound_of(reader, show), count, least, most)


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
    min_speakers: Least = 1,
    max_speakers: Most = 20,
) -> None:
    """Measure the diarisation error rate: missed, false alarm, confusion; overlap counts."""
    from avt_memocmt.speakers.diarizer import Diarizer
    from avt_memocmt.speakers.error_rate import Reference
    from avt_memocmt.speakers.rttm import NamedTurn

    require_extra("speakers", ("pyannote.metrics",), "evaluate-speakers needs")
    truth = Reference(reference, uem)
    is_known = speakers == "known"
    count = None if is_known else read_count(speakers)
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
                wanted = truth.count(path.stem) if is_known else count
                turns = _diarize_file(diarizer, path, wanted, min_speakers, max_speakers).turns
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
