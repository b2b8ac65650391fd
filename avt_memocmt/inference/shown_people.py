"""Everybody on the screen, and who of them speaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.config import VisualConfig
from avt_memocmt.inference.mouths import MOUTH_RATE, Mouths, ReadMouths
from avt_memocmt.inference.people import PeopleSeen, VoiceFaces
from avt_memocmt.inference.results import SeenFace
from avt_memocmt.inference.sampled_faces import FaceRecorder
from avt_memocmt.inference.shown_faces import (
    FaceChoice,
    ShownFaces,
    ShownPerson,
    ShownPicture,
    shown_at,
)
from avt_memocmt.inference.which_faces import WhichFaces
from avt_memocmt.media.types import VideoFrame
from avt_memocmt.preprocessing.every_face import EveryFaceTracker, Seen
from avt_memocmt.preprocessing.face_detectors import FaceDetector
from avt_memocmt.preprocessing.face_tracker import FaceObservation, FaceTracker
from avt_memocmt.preprocessing.speaking_face import MouthTrack, speaking_scores

_FEWEST_MOUTHS = 8
_SHORTEST = 0.4  # seconds
_SLOWEST = 8.0  # pictures a second: below, speech cannot be told from rest
_UNTOLD = 30.0  # seconds

# Log-odds against the likeliest face that still leave it the speaker's. In films most of those who
# are heard are seen; and who alone is seen for long talks to the camera, even where sound and
# pictures do not fit: the demo, in which a voice was put under a face that shows emotions, has -2.5
# at least. A mouth at rest has less than -3.1 (GRID).
_DOUBT, _DOUBT_A_SECOND, _MOST_DOUBT = 0.5, 0.25, 2.75
_SOME_PICTURES = 4
"""Sampled pictures of an utterance from which on a face seen in only one of them is left out."""

Faces = dict[str, list[FaceObservation]]
"""What was seen of each person during an utterance, by the id of the face."""


class ShownPeople(ShownFaces):
    """The faces seen lately, of which the one counts whose mouth moves with the sound.

    Where nobody is heard, or the mouths are seen too rarely to tell, the one counts that
    `ShownFaces` would choose.

    Args:
        tracker: follows the faces; new.
        period: seconds between two sampled pictures.
        is_live: see `ShownFaces`.
        read_mouths: see `ReadMouths`.
        tell_all: report everybody who is seen.
        recorder: see `ShownFaces`.

    Attributes:
        voices: which faces spoke with which voice so far.
    """

    def __init__(
        self,
        tracker: EveryFaceTracker,
        period: float,
        is_live: bool,
        *,
        read_mouths: ReadMouths,
        tell_all: bool,
        recorder: FaceRecorder | None = None,
    ) -> None:
        super().__init__(tracker, period, is_live, recorder)
        self.voices = VoiceFaces()
        self._everyone_tracker = tracker
        self._tell_all = tell_all
        self._mouths = Mouths(read_mouths)
        self._people = PeopleSeen(period)

    @property
    def tells_all(self) -> bool:
        """Whether everybody who is seen is reported."""
        return self._tell_all

    @property
    def faces(self) -> tuple[SeenFace, ...]:
        """Who was seen during the utterances so far, in the order of appearance."""
        return self._people.faces()

    @property
    def ids(self) -> Mapping[int, str]:
        """See `ShownFaces.ids`."""
        return self._people.ids()

    def glimpse(self, frame: VideoFrame) -> None:
        """See the mouths in a picture between two sampled ones."""
        self._mouths.glimpse(frame)

    def choose(
        self, start: float, end: float, speech: NDArray[np.float32] | None, speaker: str | None
    ) -> FaceChoice:
        """See `ShownFaces.choose`."""
        pictures = list(self._pictures(start, end))
        everyone = self._everyone_in(pictures)
        largest = [shown_at(time, p.face) for time, p in pictures if p.face is not None]
        likeliest = self._id_of_largest(pictures)
        if speech is None or not len(speech) or not everyone:
            return self._choice(largest, likeliest, [], everyone)
        scores = self._scores(start, end, speech, speaker, everyone)
        if likeliest not in scores and max(scores.values(), default=0.0) <= 0:
            return self._choice(largest, likeliest, [], everyone)
        speaking = self._speaking(scores)
        if speaker is not None and speaking:
            self.voices.note(start, speaker, speaking[0], end - start)
        speaking = _one_at_a_time(speaking, everyone)
        faces = sorted((f for i in speaking for f in everyone[i]), key=lambda face: face.time)
        return self._choice(faces, speaking[0] if speaking else None, speaking, everyone)

    def _look(self, frame: VideoFrame, limit: float) -> FaceObservation | None:
        face = super()._look(frame, limit)
        self._mouths.see(frame, self._everyone_tracker.seen)
        for seen in self._everyone_tracker.seen:
            self._people.add(seen.run, seen.face)
        self._people.drop_untold(frame.time - _UNTOLD)
        return face

    def _everyone(self) -> tuple[Seen, ...]:
        return self._everyone_tracker.seen

    def _everyone_in(self, pictures: Sequence[tuple[float, ShownPicture]]) -> Faces:
        """Everybody who was seen in more than one picture, where there are some."""
        looks = Counter(seen.run.person for _, picture in pictures for seen in picture.everyone)
        fewest = 2 if len(pictures) >= _SOME_PICTURES else 1
        everyone: Faces = {}
        for time, picture in pictures:
            for seen in picture.everyone:
                if looks[seen.run.person] >= fewest:
                    faces = everyone.setdefault(self._people.id_of(seen.run), [])
                    faces.append(shown_at(time, seen.face))
        return everyone

    def _id_of_largest(self, pictures: Sequence[tuple[float, ShownPicture]]) -> str | None:
        """Id of the face that `ShownFaces` would choose, or of the one seen longest of several."""
        runs = [
            seen.run
            for _, picture in pictures
            for seen in picture.everyone
            if seen.face is picture.face
        ]
        people = Counter(run.person for run in runs)
        longest = max(people, key=people.__getitem__, default=None)
        return next((self._people.id_of(run) for run in runs if run.person == longest), None)

    def _speaking(self, scores: dict[str, float]) -> list[str]:
        """Who speaks, the likeliest first: in doubt one of those who are seen."""
        ranked = sorted(scores, key=scores.__getitem__, reverse=True)
        doubt = max(_DOUBT, min(_MOST_DOUBT, _DOUBT_A_SECOND * self._people.seconds_alone))
        return [
            name for place, name in enumerate(ranked) if scores[name] > (0.0 if place else -doubt)
        ]

    def _scores(
        self,
        start: float,
        end: float,
        speech: NDArray[np.float32],
        speaker: str | None,
        everyone: Faces,
    ) -> dict[str, float]:
        """Log-odds that a face speaks, of those whose mouth was seen well enough to tell."""
        tracks = {
            name: track
            for name, track in self._mouths_of_people(start, end).items()
            if name in everyone and _is_enough(track)
        }
        found = speaking_scores(speech, start, list(tracks.values()))
        return {
            name: score + self.voices.shift(start, speaker, name, everyone)
            for name, score in zip(tracks, found, strict=True)
            if score
        }

    def _mouths_of_people(self, start: float, end: float) -> dict[str, MouthTrack]:
        """The mouth of each person, who may have been seen in several stretches, by id."""
        parts: dict[str, list[MouthTrack]] = {}
        for run, track in self._mouths.during(start, end).items():
            name = self._people.known_id(run)
            if name is not None:
                parts.setdefault(name, []).append(track)
        return {name: _joined(tracks) for name, tracks in parts.items()}

    def _choice(
        self,
        faces: Sequence[FaceObservation],
        name: str | None,
        speaking: Sequence[str],
        everyone: Faces,
    ) -> FaceChoice:
        people = tuple(
            ShownPerson(who, who in speaking, len(seen) * self._period, tuple(seen))
            for who, seen in everyone.items()
        )
        is_missing = bool(everyone) and name is None
        return FaceChoice(tuple(faces), name, people if self._tell_all else (), is_missing)


def _joined(tracks: Sequence[MouthTrack]) -> MouthTrack:
    """Stretches that do not overlap as one, in the order of time."""
    in_order = sorted(tracks, key=lambda track: float(track[0][0]))
    times = np.concatenate([times for times, _ in in_order])
    return times, np.concatenate([shapes for _, shapes in in_order])


def _is_enough(track: MouthTrack) -> bool:
    """Whether a mouth was seen often enough to tell whether it speaks."""
    times, _ = track
    if len(times) < _FEWEST_MOUTHS:
        return False
    seconds = float(times[-1] - times[0])
    return seconds >= _SHORTEST and float(np.median(np.diff(times))) <= 1 / _SLOWEST


def _one_at_a_time(speaking: Sequence[str], everyone: Faces) -> list[str]:
    """The faces that speak, likeliest first, without those seen while a likelier one is.

    What is left may be one person, who was not known again after a cut.
    """
    kept: list[str] = []
    times: set[float] = set()
    for name in speaking:
        seen = {face.time for face in everyone[name]}
        if not seen & times:
            kept.append(name)
            times |= seen
    return kept


def rate_between(faces: WhichFaces) -> float:
    """Pictures a second, those between the sampled ones counted, that a choice of faces needs."""
    return 0.0 if faces == "largest" else MOUTH_RATE


def make_shown_faces(
    visual: VisualConfig,
    detector: FaceDetector,
    faces: WhichFaces,
    is_live: bool,
    read_mouths: ReadMouths,
    recorder: FaceRecorder | None = None,
) -> ShownFaces:
    """The faces on the screen of a media that was not read yet.

    Args:
        visual: of the checkpoint.
        detector: see `make_detector`.
        faces: which of them counts.
        is_live: see `ShownFaces`.
        read_mouths: see `ReadMouths`.
        recorder: see `ShownFaces`.
    """
    following = detector, visual.face_policy, visual.min_face
    period = 1 / visual.frames_per_second
    if faces == "largest":
        return ShownFaces(FaceTracker(*following), period, is_live, recorder)
    return ShownPeople(
        EveryFaceTracker(*following),
        period,
        is_live,
        read_mouths=read_mouths,
        tell_all=faces == "all",
        recorder=recorder,
    )
