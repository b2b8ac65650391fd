"""Where every face was in every sampled picture, and what it showed there."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.inference.results import SampledFace, UtterancePrediction
from avt_memocmt.media.types import VideoFrame
from avt_memocmt.preprocessing.every_face import FaceRun
from avt_memocmt.preprocessing.face_tracker import FaceObservation

RecordFaces = bool | Literal["judged"]
"""Whether the faces in sampled pictures are recorded; "judged" = also what each shows by itself,
which runs the face network once more for every face."""

JudgeFaces = Callable[[Sequence[FaceObservation]], NDArray[np.float32]]
"""The seven probabilities of each of some faces, float32 [n, 7], each by itself."""

_JUDGED_AT_ONCE = 32
_UNTOLD = 30.0  # seconds after which it will not be told any more whose face it was
_NO_RUN = -1


@dataclass(frozen=True)
class FaceColumns:
    """Sampled faces as columns, in time order; a tenth of the memory of objects.

    Attributes:
        times: float64 [n], seconds.
        until: float64 [n], seconds.
        boxes: float32 [n, 4], left, top, width, height in pixels.
        names: int32 [n], numbers of `ids`; -1 = None.
        ids: of faces.
        speaks: bool [n].
        probabilities: float32 [n, 7], or None where they were not asked for.
    """

    times: NDArray[np.float64]
    until: NDArray[np.float64]
    boxes: NDArray[np.float32]
    names: NDArray[np.int32]
    ids: tuple[str, ...]
    speaks: NDArray[np.bool_]
    probabilities: NDArray[np.float32] | None


class SampledFaces(Sequence[SampledFace]):
    """A sequence of `SampledFace` that holds an hour of six faces in 6 MB.

    Args:
        columns: the faces.
    """

    def __init__(self, columns: FaceColumns) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns.times)

    @overload
    def __getitem__(self, index: int) -> SampledFace: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[SampledFace, ...]: ...

    def __getitem__(self, index: int | slice) -> SampledFace | tuple[SampledFace, ...]:
        if isinstance(index, slice):
            return tuple(self[row] for row in range(*index.indices(len(self))))
        columns, row = self._columns, range(len(self))[index]
        left, top, width, height = columns.boxes[row].tolist()
        name = int(columns.names[row])
        judged = columns.probabilities
        return SampledFace(
            float(columns.times[row]),
            (left, top, width, height),
            None if name < 0 else columns.ids[name],
            bool(columns.speaks[row]),
            None if judged is None else tuple(judged[row].tolist()),
            float(columns.until[row]),
        )

    def __iter__(self) -> Iterator[SampledFace]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        return f"<{len(self)} sampled faces>"


class FaceRecorder:
    """Writes down the faces of each sampled picture while a media is read.

    Whose face it is may turn out only later, and which face counts with the utterance's decision;
    so both are filled in at the end.

    Args:
        judge: says what each face shows by itself; None = that is not asked for.
    """

    def __init__(self, judge: JudgeFaces | None = None) -> None:
        self._judge = judge
        self._pictures = array("d")  # times of all, those without a face too
        self._of_picture = array("l")
        self._shares = array("f")  # boxes as shares of the picture
        self._runs = array("l")
        self._judged = array("f")
        self._waiting: list[FaceObservation] = []
        self._untold: dict[int, FaceRun] = {}
        self._people: dict[int, int] = {}

    def take(
        self, frame: VideoFrame, faces: Sequence[tuple[FaceObservation, FaceRun | None]]
    ) -> None:
        """Write down a picture.

        Args:
            frame: the next one in time order.
            faces: that were seen in it, each with its stretch where faces are told apart.
        """
        height, width = frame.image.shape[:2]
        for face, run in faces:
            # A small still that was taken for a face is one as a whole.
            x0, y0, x1, y1 = (0, 0, width, height) if face.face is None else face.face.box
            self._shares.extend((x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height))
            self._of_picture.append(len(self._pictures))
            self._runs.append(_NO_RUN if run is None else run.number)
            if run is not None and run.number not in self._people:
                self._untold[run.number] = run
            if self._judge is not None:
                self._waiting.append(face)
        self._pictures.append(frame.time)
        self._tell(frame.time)
        if len(self._waiting) >= _JUDGED_AT_ONCE:
            self._judge_waiting()

    def found(
        self,
        utterances: Sequence[UtterancePrediction],
        ids: Mapping[int, str],
        picture_size: tuple[int, int],
        duration: float,
    ) -> SampledFaces:
        """What was written down, once the media is read and decided on.

        Args:
            utterances: as they were decided on.
            ids: of the faces of people, by the person's number.
            picture_size: width and height of the picture as it is shown, pixels.
            duration: of the media, seconds.
        """
        self._tell(np.inf)
        self._judge_waiting()
        pictures = np.array(self._pictures, dtype=np.float64)
        gone = np.append(pictures[1:], max(duration, *pictures[-1:], 0.0))
        rows = np.array(self._of_picture, dtype=np.int64)
        named = tuple(dict.fromkeys(ids.values()))
        number_of = {
            run: named.index(ids[person]) for run, person in self._people.items() if person in ids
        }
        runs = np.array(self._runs, dtype=np.int64)
        names = np.array([number_of.get(run, -1) for run in self._runs], dtype=np.int32)
        return SampledFaces(
            FaceColumns(
                pictures[rows],
                gone[rows],
                np.array(self._shares, np.float32).reshape(-1, 4)
                * np.array(picture_size * 2, np.float32),
                names,
                named,
                _speaking(pictures, gone, rows, runs, names, named, utterances),
                None
                if self._judge is None
                else np.array(self._judged, np.float32).reshape(-1, NUM_EMOTIONS),
            )
        )

    def _tell(self, time: float) -> None:
        """Keep of stretches that are told the person alone; they hold pictures."""
        for number, run in list(self._untold.items()):
            if run.is_told:
                self._people[number] = run.person
            if run.is_told or run.seen < time - _UNTOLD:
                del self._untold[number]

    def _judge_waiting(self) -> None:
        if self._judge is not None and self._waiting:
            self._judged.extend(self._judge(self._waiting).ravel().tolist())
            self._waiting.clear()


def _speaking(
    pictures: NDArray[np.float64],
    gone: NDArray[np.float64],
    rows: NDArray[np.int64],
    runs: NDArray[np.int64],
    names: NDArray[np.int32],
    ids: Sequence[str],
    utterances: Sequence[UtterancePrediction],
) -> NDArray[np.bool_]:
    """Which faces are the one that counted in the utterance during which they were shown.

    A picture belongs to the utterance in which it appears; one that appears in none, but is held
    into one, belongs to that.

    Args:
        pictures: float64 [pictures], when each appears, seconds.
        gone: float64 [pictures], when the next one takes its place, seconds.
        rows: int64 [faces], the picture of each face.
        runs: int64 [faces], its stretch; -1 where faces are not told apart.
        names: int32 [faces], its number among `ids`; -1 = it has none.
        ids: of faces.
        utterances: in time order.
    """
    spans = [
        (
            int(np.searchsorted(pictures, turn.start)),
            int(np.searchsorted(pictures, turn.end, "right")),
        )
        for turn in utterances
    ]
    claimed = np.zeros(len(pictures), dtype=np.bool_)
    for first, last in spans:
        claimed[first:last] = True
    speaks = np.zeros(len(rows), dtype=np.bool_)
    for turn, (first, last) in zip(utterances, spans, strict=True):
        if first and not claimed[first - 1] and gone[first - 1] > turn.start:
            first -= 1
        shown = slice(*np.searchsorted(rows, (first, last)))
        if turn.face in ids:
            speaks[shown] |= names[shown] == ids.index(turn.face)
        elif turn.face is None and turn.modalities["visual"].present:
            speaks[shown] |= runs[shown] == _NO_RUN
    return speaks
