"""Where `avt-memocmt predict` puts its results: on stdout, and on disk once they are there."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from avt_memocmt.commands.console import log, output, print_json
from avt_memocmt.errors import AvtError
from avt_memocmt.files import writable_folder
from avt_memocmt.json_files import JsonArrayFile
from avt_memocmt.overlay import OVERLAY_SUFFIX
from avt_memocmt.wording import WARNINGS

if TYPE_CHECKING:
    from avt_memocmt.commands.overlay import Films
    from avt_memocmt.inference.results import MediaPrediction


class PredictionOutput:
    """Takes results one by one; what cannot be written now is tried again, and said at the end.

    Args:
        folder: for predictions.json, report.html and exported files, or None.
        as_json: JSON Lines on stdout instead of tables.
        formats: names of formats with commas between them, each a further file of each input.
        films: writes a film with the answer on it for each input; None = none is wanted.
        blur_faces: whether the faces of the report are blurred.

    Attributes:
        results: all that were taken.
        problems: sentences on what could not be written.
        sampled_faces: what formats and films need of each prediction; see `Recognizer.predict`.

    Raises:
        AvtError: the folder cannot be written into, a format is unknown, or there are formats or
            films and no folder.
    """

    def __init__(
        self,
        folder: Path | None,
        as_json: bool,
        formats: str | None = None,
        films: Films | None = None,
        blur_faces: bool = False,
    ) -> None:
        from avt_memocmt.exports.formats import Stems, format_names, needed_faces

        self._formats = () if formats is None else format_names(formats)
        if self._formats and folder is None:
            raise AvtError("--format needs --out; name the folder for the files.")
        if films is not None and folder is None:
            raise AvtError("--overlay needs --out; name the folder for the films.")
        self.sampled_faces = needed_faces(self._formats, films is not None)
        self._films, self._blur_faces = films, blur_faces
        self._stems = Stems(["predictions"])  # predictions.json holds all inputs
        self.results: list[MediaPrediction] = []
        self.problems: list[str] = []
        self._folder = None if folder is None else writable_folder(folder)
        self._array = None if folder is None else JsonArrayFile(folder / "predictions.json")
        self._as_json = as_json
        self._is_read = True

    def take(self, result: MediaPrediction, media: Path | None = None) -> None:
        """Write a result and show it.

        Args:
            result: a prediction.
            media: the file that it is of; None = the one that it names.

        Raises:
            AvtError: stdout cannot be written, and there is no folder.
            BrokenPipeError: nobody reads stdout any more, and there is no folder.
        """
        from avt_memocmt.inference.results import to_json

        self.results.append(_without_faces(result) if self._blur_faces else result)
        if self._array is not None:
            was_waiting = self._array.waiting
            try:
                self._array.add(to_json(result))
            except AvtError as error:
                if not was_waiting:
                    log.print(f"{error} It will be tried again with the next result.", style="red")
        if self._is_read:
            self._show(result)
        if self._folder is not None and (self._formats or self._films):
            stem = self._stems.next(result.media)
            self._export(result, self._folder, stem)
            if self._films is not None:
                path = self._folder / f"{stem}{OVERLAY_SUFFIX}"
                self.problems += self._films.write(result, media or Path(result.media), path)

    def finish(self, failures: Sequence[tuple[str, str]]) -> None:
        """Complete predictions.json and write report.html.

        Args:
            failures: (input, reason) of inputs that could not be predicted.
        """
        from avt_memocmt.report.prediction_page import write_report

        if self._folder is None or self._array is None:
            return
        pages = (self._folder / "predictions.json", self._folder / "report.html")
        before = len(self.problems)
        try:
            self._array.write()
        except AvtError as error:
            self.problems.append(f"{error} It lacks the last {self._array.waiting} results.")
        finally:
            self._array.close()
        try:
            write_report(self.results, failures, pages[1])
        except AvtError as error:
            self.problems.append(str(error))
        if len(self.problems) == before:
            log.print(f"wrote {pages[0]} and {pages[1]}")

    def _export(self, result: MediaPrediction, folder: Path, stem: str) -> None:
        from avt_memocmt.exports.formats import write_exports

        if not self._formats:
            return
        try:
            write_exports(result, self._formats, folder, stem)
        except AvtError as error:
            self.problems.append(str(error))
        else:
            log.print(f"wrote {folder / stem}.* ({', '.join(self._formats)})")

    def _show(self, result: MediaPrediction) -> None:
        from avt_memocmt.inference.results import to_json

        try:
            if self._as_json:
                print_json(to_json(result))
            else:
                _print_timeline(result)
        except (AvtError, BrokenPipeError) as error:
            if self._array is None:
                raise
            self._is_read = False  # the folder gets them all
            if isinstance(error, AvtError):
                self.problems.append(str(error))


def _without_faces(result: MediaPrediction) -> MediaPrediction:
    from avt_memocmt.overlay.blur import blur_faces

    return blur_faces(result)


def _print_timeline(result: MediaPrediction) -> None:
    from avt_memocmt.inference.results import speaker_names

    names = speaker_names(result)
    who = [
        names.get(turn.speaker, turn.speaker) if turn.speaker else "" for turn in result.utterances
    ]
    table = Table("start", "end", title=result.media, title_justify="left", box=None)
    if any(who):
        table.add_column("speaker", max_width=20, no_wrap=True)
    for heading in ("emotion", "confidence", "text", "warnings"):
        table.add_column(heading)
    for turn, name in zip(result.utterances, who, strict=True):
        emotion = turn.emotion
        if emotion != turn.likeliest:
            emotion += f" ({turn.likeliest})"
        start, end, confidence = (f"{n:.2f}" for n in (turn.start, turn.end, turn.confidence))
        speaker = [name] if any(who) else []
        table.add_row(start, end, *speaker, emotion, confidence, turn.text, " ".join(turn.warnings))
    output.print(table)
    is_sound = (mimetypes.guess_type(result.media)[0] or "").startswith("audio/")
    for name in result.warnings:
        if name != "no_video" or not is_sound:  # nobody expects pictures of a recording
            output.print(f" {name}: {WARNINGS.get(name, '')}", soft_wrap=True)
