"""The schema of the small YAML file that tells `import-pack` where a pack holds what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, model_validator

from avt_memocmt.config import Modality, Section
from avt_memocmt.config_file import named_problems, read_yaml
from avt_memocmt.errors import AvtError

PACKAGED = Path(__file__).parent
"""Folder of the mappings that come with the program, one YAML file each."""

Entry = Annotated[int, Field(ge=0)] | str
"""Names one part of a pack: its position in a list, its key in a dictionary, or its column."""


class FeatureSource(Section):
    """Where a pack holds the features of one modality.

    Attributes:
        entry: the part with the features. None if `columns` lists them, or if the pack is nothing
            but this part.
        columns: without `entry`, the columns that hold one value each, in order ("mfcc*" stands for
            all names that begin with mfcc); with `entry`, names for the values of its vectors.
        named: whether each value becomes a token of its own, which has the column's name and may be
            NaN; otherwise the values of an utterance are one vector [dim], or [tokens, dim].
    """

    entry: Entry | None = None
    columns: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    named: bool = False

    @model_validator(mode="after")
    def _named_values_have_names(self) -> FeatureSource:
        if self.named and self.columns is None:
            raise ValueError("named values need columns, which are their names")
        if self.named and any("*" in name for name in self.columns or ()):
            raise ValueError("name each column of named values")
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise ValueError("a column is given twice")
        return self


class _Pack(Section):
    """The settings of every layout.

    Attributes:
        modalities: where the features of each modality are.
        labels: the part with emotions. They are compared with the index, whose own are kept.
    """

    modalities: Annotated[dict[Modality, FeatureSource], Field(min_length=1)]
    labels: Entry | None = None


class _DividedPack(_Pack):
    """Layouts in which the part or the file may tell the split of an utterance.

    Attributes:
        splits: for packs with a part for each split: that part.
        files: for packs with a file for each split: the pattern of its name, such as "train_*".
    """

    splits: dict[str, Entry] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)


class DialoguePack(_Pack):
    """Each part maps a dialogue id to a list of turns, as MMGCN, MM-DFN and DialogueRNN have it.

    Attributes:
        first_dialogue: for packs whose dialogue ids count on from split to split: the id that
            dialogue 0 of each split has there. Otherwise --split gives the split.
        utterance_ids: the part with the utterance ids of each dialogue's turns; without it, the
            turns of a dialogue are taken for those of the index.
    """

    layout: Literal["dialogues"]
    first_dialogue: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    utterance_ids: Entry | None = None


class UtterancePack(_DividedPack):
    """Each part maps an utterance to its features.

    An utterance is "dia0_utt1", "0_1", "train_dia0_utt1" or (split, dialogue id, utterance id).
    """

    layout: Literal["utterances"]


class RowPack(_DividedPack):
    """A table, or arrays of equal length: row i of each part belongs to one utterance.

    Attributes:
        name: the column with names of utterances as in `UtterancePack`.
        dialogue: the column with dialogue ids, instead of `name`.
        utterance: the column with utterance ids, beside `dialogue`. Without any of the three, rows
            are taken for the utterances of the index, in its order.
        split: the column with the split.
        present: a column that is 0 where nothing was measured.
        duration: the column with the length of the utterance, seconds.
    """

    layout: Literal["rows"]
    name: Entry | None = None
    dialogue: Entry | None = None
    utterance: Entry | None = None
    split: Entry | None = None
    present: Entry | None = None
    duration: Entry | None = None

    @model_validator(mode="after")
    def _one_way_to_name_rows(self) -> RowPack:
        if (self.dialogue is None) != (self.utterance is None):
            raise ValueError("dialogue and utterance go together")
        if self.name is not None and self.dialogue is not None:
            raise ValueError("give either name, or dialogue and utterance")
        if any(
            source.entry is None and source.columns is None for source in self.modalities.values()
        ):
            raise ValueError("each modality needs entry or columns")
        return self


PackMapping = DialoguePack | UtterancePack | RowPack
_SCHEMA: TypeAdapter[PackMapping] = TypeAdapter(
    Annotated[PackMapping, Field(discriminator="layout")]
)


def packaged_mappings() -> list[str]:
    """Names of the mappings that come with the program."""
    return sorted(path.stem for path in PACKAGED.glob("*.yaml"))


def load_mapping(name_or_path: str) -> PackMapping:
    """Read a mapping.

    Args:
        name_or_path: the name of a packaged mapping, or a YAML file.

    Raises:
        AvtError: there is no such mapping, it is not YAML, or it has an unknown key or a wrong
            value; the message names the key.
    """
    path = Path(name_or_path)
    if name_or_path in packaged_mappings():
        path = PACKAGED / f"{name_or_path}.yaml"
    if not path.exists():
        raise AvtError(
            f"there is no mapping {name_or_path}; name one of {', '.join(packaged_mappings())}, or "
            "a YAML file written like them."
        )
    raw = read_yaml(path, "the mapping")
    with named_problems(path):
        return _SCHEMA.validate_python(raw)
