"""The pictures of faces that the embedded model is trained on, each corpus cut into three parts.

Faces are cut by person where people are known, otherwise by position. The official test splits of
FER+ and RAF-DB are not read here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.data.corpora import Part
from avt_memocmt.data.labelled_dialogues import one_hot
from avt_memocmt.emotions import EMOTIONS, FERPLUS_VOTES, emotion_index
from avt_memocmt.errors import AvtError

Picture = NDArray[np.uint8]
_DETAILS = ("age", "gender", "film", "pose", "view")


@dataclass(frozen=True)
class Faces:
    """Pictures of one part of one corpus.

    Attributes:
        corpus: its name.
        files: PNG or JPEG, as the corpus has them.
        votes: float32 [n, 7], share of the annotators' votes for each of `EMOTIONS`, or a one at
            the label; rows sum to 1.
        majority: int64 [n], the class with most votes, -1 where that is none of the seven.
        agreement: float32 [n], share of the votes that went to that class, single votes left out:
            above one half is a majority as the authors of FER+ define it (Barsoum et al. 2016); 1
            where there are only labels.
        people: who each is; None where the corpus does not say.
        details: what else it says of each, by name: age, gender, film, pose, view.
    """

    corpus: str
    files: list[bytes]
    votes: NDArray[np.float32]
    majority: NDArray[np.int64]
    agreement: NDArray[np.float32]
    people: list[str] | None = None
    details: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.files)

    def picture(self, row: int) -> Picture:
        """RGB uint8 [height, width, 3]."""
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(self.files[row])).convert("RGB"), np.uint8)

    def subset(self, index: NDArray[np.int64]) -> Faces:
        """The rows at `index`."""
        return Faces(
            self.corpus,
            [self.files[row] for row in index],
            self.votes[index],
            self.majority[index],
            self.agreement[index],
            None if self.people is None else [self.people[row] for row in index],
            {name: [values[row] for row in index] for name, values in self.details.items()},
        )


def face_corpora(data: Path, part: Part) -> list[Faces]:
    """FER+, IMFDB, KDEF and RAF-DB, of the corpora that the folder holds.

    Raises:
        AvtError: it holds none.
    """
    found = [read(data, part) for read in _READERS.values()]
    kept = [faces for faces in found if faces is not None and len(faces)]
    if not kept:
        raise AvtError(f"{data} holds no corpus of faces (ferplus/, faces/*.parquet).")
    return kept


def ferplus_faces(data: Path, part: Part) -> Faces:
    """FER+ pictures: `train` and `validation` are nine and one tenth of its train split.

    `test` is its validation split. Pictures that no annotator gave one of the seven classes are
    left out.

    Raises:
        AvtError: the table is missing.
    """
    path = data / "ferplus" / ("valid.parquet" if part == "test" else "train.parquet")
    if not path.is_file():
        raise AvtError(f"{path} is missing; give a folder with the FER+ tables.")
    table = _columns(path, ["png", "votes"])
    votes = np.array(table["votes"], dtype=np.float32)
    columns = [FERPLUS_VOTES.index(name) for name in EMOTIONS]
    ours = votes[:, columns]
    to_class = np.full(votes.shape[1], -1, dtype=np.int64)
    to_class[columns] = np.arange(len(EMOTIONS))
    counted = np.where(votes > 1, votes, 0.0)
    faces = Faces(
        "ferplus",
        table["png"],
        ours / np.maximum(ours.sum(axis=1, keepdims=True), 1.0),
        to_class[votes.argmax(axis=1)],
        (counted.max(axis=1) / np.maximum(counted.sum(axis=1), 1.0)).astype(np.float32),
    )
    kept = ours.sum(axis=1) > 0
    if part != "test":
        kept &= (np.arange(len(kept)) % 10 == 9) == (part == "validation")
    return faces.subset(np.flatnonzero(kept))


def rafdb_faces(data: Path, part: Part) -> Faces | None:
    """RAF-DB's train split: one picture in twenty for `validation`, another for `test`."""
    faces = _labelled(data / "faces" / "rafdb_train.parquet", "rafdb")
    if faces is None:
        return None
    return faces.subset(_rows_of_part(np.arange(len(faces)) % 20, 9, 19, part))


def _faces_by_person(corpus: str) -> Callable[[Path, Part], Faces | None]:
    def read(data: Path, part: Part) -> Faces | None:
        faces = _labelled(data / "faces" / f"{corpus}.parquet", corpus)
        if faces is None or faces.people is None:
            return None
        place = {name: number for number, name in enumerate(sorted(set(faces.people)))}
        places = np.array([place[name] for name in faces.people])
        return faces.subset(_rows_of_part(places % 10, 4, 9, part))

    return read


def _rows_of_part(
    numbers: NDArray[np.int64], validation: int, test: int, part: Part
) -> NDArray[np.int64]:
    """Rows with the number of a part; `train` has all others."""
    held = {"validation": numbers == validation, "test": numbers == test}
    return np.flatnonzero(held.get(part, ~(held["validation"] | held["test"])))


def _labelled(path: Path, corpus: str) -> Faces | None:
    """All pictures of a table with one label each; None where there is no table."""
    if not path.is_file():
        return None
    table = _columns(path, ["jpg", "label", "person", *_DETAILS])
    emotions = np.array([emotion_index(label) for label in table["label"]])
    return Faces(
        corpus,
        table["jpg"],
        one_hot(emotions),
        emotions,
        np.ones(len(emotions), np.float32),
        table.get("person"),
        {name: table[name] for name in _DETAILS if name in table},
    )


def _columns(path: Path, names: Sequence[str]) -> dict[str, list[Any]]:
    """Those of some columns that a table has."""
    import pyarrow.parquet as parquet

    held = parquet.read_schema(path).names
    table = parquet.read_table(path, columns=[name for name in names if name in held])
    found: dict[str, list[Any]] = table.to_pydict()
    return found


_READERS: dict[str, Callable[[Path, Part], Faces | None]] = {
    "ferplus": ferplus_faces,
    "imfdb": _faces_by_person("imfdb"),
    "kdef": _faces_by_person("kdef"),
    "rafdb": rafdb_faces,
}
FACE_CORPORA = tuple(_READERS)
