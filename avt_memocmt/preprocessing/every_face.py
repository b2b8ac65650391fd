"""Follows every face through the pictures of a video, each with the number of its person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.media.types import VideoFrame
from avt_memocmt.preprocessing.face_alignment import crop_face
from avt_memocmt.preprocessing.face_boxes import Face, box_iou, same_face
from avt_memocmt.preprocessing.face_detectors import FaceDetector
from avt_memocmt.preprocessing.face_identity import FaceGallery, Look, View, mean_look
from avt_memocmt.preprocessing.face_tracker import (
    PATIENCE,
    FaceObservation,
    FacePolicy,
    FaceTracker,
    find_faces,
    find_near,
)

MOST_FACES = 6
"""Faces that are followed at once: the largest ones."""
SEARCH_EVERY = 1.0
"""Seconds from one search of a whole picture to the next, which finds who came in. Whoever is
followed already is looked for where they were, which takes a tenth of the time."""
_SEARCH_SIDE = 480
"""Pixels to which pictures are scaled down for it, half the time of `SEARCH_SIDE`: faces that are
missed then are too small for their mouths to be read."""
_SEARCH_FOR_LOST = 0.5  # seconds
_FIRST_LOOKS = 4  # pictures of a stretch by which its person is told
_LOOK_EVERY = 2.0  # seconds from one look to the next that is remembered after those

# A cut from one person to another who sits in the same place may change the picture less than a
# scene cut does. Where it changes more than a face alone changes it (3 within GRID clips), and the
# face is less like the one before than any two people of GRID are alike (.61), it is another one.
_SOME_CHANGE = 8.0
_LEAST_LIKENESS = 0.62
_OVERLAP = 0.3  # intersection over union above which two boxes are one face


@dataclass(eq=False)
class FaceRun:
    """A stretch of pictures through which one face was followed without a break.

    Attributes:
        number: of the stretch, from 0.
        face: where it was seen last.
        seen: when that was, in seconds.
    """

    number: int
    face: Face
    seen: float
    _gallery: FaceGallery
    _person: int | None = None
    _looks: list[Look] = field(default_factory=list)
    _looked: float = -math.inf
    _beside: set[FaceRun] = field(default_factory=set)

    @property
    def is_told(self) -> bool:
        """Whether it was decided whose face it is."""
        return self._person is not None

    @property
    def person(self) -> int:
        """Number of the person, from 0; told by what was seen of the face when first asked for."""
        return self._tell() if self._person is None else self._person

    def _tell(self) -> int:
        """Decide now whose face it is."""
        others = {run._person for run in self._beside if run._person is not None}
        self._person = self._gallery.recognise(mean_look(self._looks), others)
        self._beside.clear()
        self._looks.clear()
        return self._person

    def look(self, time: float, view: View) -> None:
        """Take in what the face looks like in a picture."""
        if self._person is not None and time - self._looked < _LOOK_EVERY:
            return
        self._looked = time
        if self._person is not None:
            self._gallery.remember(self._person, view.look)
            return
        self._looks.append(view.look)
        if len(self._looks) >= _FIRST_LOOKS:
            self._tell()

    def stands_beside(self, others: Sequence[FaceRun]) -> None:
        """Note that other faces are seen in the same picture, which are other people's."""
        if self._person is None:
            self._beside.update(run for run in others if run is not self)


@dataclass(frozen=True)
class Seen:
    """One face in one picture.

    Attributes:
        run: the stretch that it belongs to.
        face: where and how it was seen; `track` is the number of the stretch, of the chosen face as
            `FaceTracker` counts.
    """

    run: FaceRun
    face: FaceObservation


class EveryFaceTracker:
    """Follows the chosen face exactly as `FaceTracker` does, and up to `MOST_FACES` in all.

    Causal, in bounded memory. What lies in a photo on the wall or in a mirror is a face as well.

    Attributes:
        seen: the faces of the last picture.

    Args:
        detector: see `make_detector`.
        policy: which face is the chosen one.
        min_face: smallest side of a face that counts, pixels of the frame.
    """

    def __init__(
        self, detector: FaceDetector, policy: FacePolicy = "largest", min_face: int = 24
    ) -> None:
        self._detector = detector
        self._min_face = min_face
        self._chosen = FaceTracker(detector, policy, min_face)
        self._chosen_run: FaceRun | None = None
        self._track = -1
        self._count = 0
        self.seen: tuple[Seen, ...] = ()
        self._gallery = FaceGallery()
        self._runs: list[FaceRun] = []
        self._views: dict[FaceRun, View] = {}  # of each stretch that goes on, the last one
        self._searched = -math.inf

    def push(self, frame: VideoFrame) -> FaceObservation | None:
        """See `FaceTracker.push`; the others are in `seen`."""
        chosen = self._chosen.push(frame)
        if self._chosen.is_cut:
            self._runs, self._chosen_run = [], None
        shown = [seen.run for seen in self.seen]
        self._runs = [
            run for run in self._runs if run in shown or frame.time - run.seen <= PATIENCE
        ]
        found: dict[FaceRun, Face] = {}
        if chosen is not None and chosen.face is not None:
            found[self._run_of_chosen(chosen.face, chosen.track)] = chosen.face
        for run in self._runs:
            if run not in found and run is not self._chosen_run:
                self._glance(run, frame.image, found)
        for face in sorted(self._search(frame, found), key=lambda face: -face.area):
            self._assign(face, found)
        self.seen = self._look(frame, chosen, self._largest(found))
        return chosen

    def _run_of_chosen(self, face: Face, track: int) -> FaceRun:
        """The stretch of the chosen face, which may be one that was followed beside another."""
        if track == self._track and self._chosen_run in self._runs:
            return self._chosen_run
        self._track = track
        known = [run for run in self._runs if run is not self._chosen_run]
        over = [run for run in known if box_iou(run.face.box, face.box) > _OVERLAP]
        self._chosen_run = over[0] if over else self._new_run(face)
        return self._chosen_run

    def _new_run(self, face: Face) -> FaceRun:
        run = FaceRun(self._count, face, -math.inf, self._gallery)
        self._count += 1
        self._runs.append(run)
        return run

    def _glance(self, run: FaceRun, image: NDArray[np.uint8], found: dict[FaceRun, Face]) -> None:
        near = find_near(image, run.face, self._detector)
        face = same_face(run.face, self._free(near, found))
        if face is not None:
            found[run] = face

    def _search(self, frame: VideoFrame, found: dict[FaceRun, Face]) -> list[Face]:
        """The faces that are not followed yet, where it is time to look for them."""
        faces = self._chosen.searched
        if faces is None:
            is_lost = len(found) < len(self._runs)
            wait = _SEARCH_FOR_LOST if is_lost else SEARCH_EVERY
            if frame.time - self._searched < wait:
                return []
            faces = self._search_quickly(frame.image)
        self._searched = frame.time
        return self._free(faces, found)

    def _search_quickly(self, image: NDArray[np.uint8]) -> list[Face]:
        if max(image.shape[:2]) <= _SEARCH_SIDE:
            return find_faces(image, self._detector)
        return self._detector.detect(image, _SEARCH_SIDE)

    def _assign(self, face: Face, found: dict[FaceRun, Face]) -> None:
        """Let a found face continue the stretch of one that was lost, or begin another."""
        if not self._free([face], found):
            return
        lost = [run for run in self._runs if run not in found and run is not self._chosen_run]
        run = next((run for run in lost if same_face(run.face, [face])), None)
        found[run or self._new_run(face)] = face

    def _free(self, faces: Sequence[Face], found: dict[FaceRun, Face]) -> list[Face]:
        """The faces that are large enough and not taken."""
        return [
            face
            for face in faces
            if face.side >= self._min_face
            and all(box_iou(face.box, taken.box) <= _OVERLAP for taken in found.values())
        ]

    def _largest(self, found: dict[FaceRun, Face]) -> dict[FaceRun, Face]:
        """At most `MOST_FACES` of the faces, the chosen one among them; the rest is forgotten."""
        ranked = sorted(found, key=lambda run: (run is not self._chosen_run, -found[run].area))
        left_out = set(ranked[MOST_FACES:])
        self._runs = [run for run in self._runs if run not in left_out]
        return {run: found[run] for run in ranked[:MOST_FACES]}

    def _look(
        self, frame: VideoFrame, chosen: FaceObservation | None, found: dict[FaceRun, Face]
    ) -> tuple[Seen, ...]:
        views: dict[FaceRun, View] = {}
        seen = []
        for run, face in found.items():
            observation = chosen if run is self._chosen_run else None
            if observation is None:
                crop = crop_face(frame.image, face)
                observation = FaceObservation(frame.time, face, crop, None, run.number)
            view = View(frame.image, face, observation.crop)
            if self._chosen.change > _SOME_CHANGE and not self._is_alike(run, view):
                run = self._replace(run)
            run.face, run.seen = face, frame.time
            views[run] = view
            seen.append(Seen(run, observation))
        for run, view in views.items():
            run.stands_beside(list(views))
            run.look(frame.time, view)
        last = self._views | views
        self._views = {run: last[run] for run in self._runs if run in last}
        return tuple(seen)

    def _is_alike(self, run: FaceRun, view: View) -> bool:
        """Whether a face in the next picture may be that of the same person."""
        last = self._views.get(run)
        return last is None or last.look.likeness(view.look) >= _LEAST_LIKENESS

    def _replace(self, run: FaceRun) -> FaceRun:
        """End a stretch where its face turns out to be somebody else's, and begin another."""
        self._runs.remove(run)
        new = self._new_run(run.face)
        if run is self._chosen_run:
            self._chosen_run = new
        return new
