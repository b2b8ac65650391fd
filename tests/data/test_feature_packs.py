"""Feature packs: every kind gives the same store, and a bad one is one sentence and no store."""

from __future__ import annotations

import contextlib
import io
import pickle
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
import yaml
from numpy.typing import NDArray
from typer.testing import CliRunner

from avt_memocmt.commands.import_pack import import_pack
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore
from avt_memocmt.data.index import UtteranceRecord, write_index
from avt_memocmt.data.meld.table import read_meld_table
from avt_memocmt.data.packs.collection import ImportReport
from avt_memocmt.data.packs.importer import import_packs
from avt_memocmt.data.packs.mapping import PackMapping, load_mapping, packaged_mappings
from avt_memocmt.data.packs.read import read_pack
from avt_memocmt.errors import AvtError

# Utterance ids have a gap, as MELD's have.
IDS = {("train", 0): (0, 1, 3), ("train", 2): (0,), ("dev", 0): (0, 1)}
RECORDS = [
    UtteranceRecord(split, dialogue, utterance, "Joey", "one two three", 4)
    for (split, dialogue), utterances in IDS.items()
    for utterance in utterances
]
WIDTH = 3


def vector(record: UtteranceRecord) -> NDArray[np.float32]:
    """float32 [WIDTH]: tells the utterance."""
    return np.array([record.dialogue_id, record.utterance_id, record.split == "dev"], np.float32)


NAMED = {f"{r.split}_dia{r.dialogue_id}_utt{r.utterance_id}": vector(r) for r in RECORDS}


def mapping(tmp_path: Path, **settings: Any) -> PackMapping:
    path = tmp_path / "mapping.yaml"
    path.write_text(yaml.safe_dump(settings))
    return load_mapping(str(path))


def by_name(tmp_path: Path) -> PackMapping:
    return mapping(tmp_path, layout="utterances", modalities={"audio": {}})


def by_row(tmp_path: Path) -> PackMapping:
    return mapping(tmp_path, layout="rows", name="id", modalities={"audio": {"entry": "x"}})


def store_of(
    tmp_path: Path, layout: PackMapping, *files: Path, split: str | None = None
) -> tuple[list[FeatureRow], ImportReport]:
    report = import_packs(files, layout, RECORDS, tmp_path / "store", split)
    return list(FeatureStore.open(tmp_path / "store").rows()), report


def refused(tmp_path: Path, layout: PackMapping, *files: Path, split: str | None = None) -> str:
    """The message; nothing was written."""
    before = set(tmp_path.iterdir())
    with pytest.raises(AvtError) as caught:
        import_packs(files, layout, RECORDS, tmp_path / "store", split)
    assert set(tmp_path.iterdir()) == before
    return str(caught.value)


def pickled(tmp_path: Path, data: Any) -> Path:
    path = tmp_path / "pack.pkl"
    path.write_bytes(pickle.dumps(data))
    return path


def dialogue_pack(**changes: Any) -> tuple[Any, ...]:
    """A tuple as MMGCN's, for the dialogues of `IDS`."""
    ids = {0: ["0", "1", "3"], 2: ["0"], 1039: ["0", "1"]}
    turns = [vector(record) for record in RECORDS]
    parts: dict[str, Any] = {
        "ids": ids,
        "speakers": {},
        "labels": {0: [4, 4, 4], 2: [4], 1039: [4, 4]},
        "text": {0: np.stack(turns[:3]), 2: [turns[3]], 1039: [row.tolist() for row in turns[4:]]},
        "audio": {0: turns[:3], 2: turns[3:4], 1039: turns[4:]},
        "visual": {0: [np.zeros((2, 4))] * 3, 1039: [np.ones((2, 4))] * 2},
        "sentences": {},
        **changes,
    }
    return (*parts.values(), [0, 2, 1039], [], None)


def test_dialogue_pickle(tmp_path: Path) -> None:
    rows, report = store_of(
        tmp_path, load_mapping("mmgcn-meld"), pickled(tmp_path, dialogue_pack())
    )
    assert [row.key for row in rows] == [record.key for record in RECORDS]
    for row, record in zip(rows, RECORDS, strict=True):
        for modality in ("audio", "text"):
            np.testing.assert_array_equal(row.tokens[modality].values, [vector(record)])
        assert (row.text, row.speaker, row.emotion) == ("one two three", "Joey", 4)
        assert row.duration == pytest.approx(0.99)
    np.testing.assert_allclose(rows[0].tokens["visual"].spans, [[0, 0.495], [0.495, 0.99]])
    assert "visual" not in rows[3].tokens
    assert report.present == {"text": 6, "audio": 6, "visual": 5}
    assert report.disagreeing == report.missing == report.unknown == 0


def test_labels_of_a_pack_are_compared_and_not_taken(tmp_path: Path) -> None:
    labels = {0: [4, "joy", "Anger"], 2: [np.int64(0)], 1039: [4, 99]}
    pack = pickled(tmp_path, dialogue_pack(labels=labels))
    rows, report = store_of(tmp_path, load_mapping("mmgcn-meld"), pack)
    assert report.disagreeing == 2
    assert {row.emotion for row in rows} == {4}


def test_other_utterances_are_counted(tmp_path: Path) -> None:
    pack = {"dia0_utt0": vector(RECORDS[0]), "dia0_utt9": vector(RECORDS[0])}
    rows, report = store_of(tmp_path, by_name(tmp_path), pickled(tmp_path, pack), split="train")
    assert [bool(row.tokens) for row in rows] == [True, False, False, False]
    assert (report.rows, report.missing, report.unknown) == (4, 3, 1)


def torch_pack(path: Path, data: Any, *, zipped: bool) -> Path:
    torch.save(data, path, _use_new_zipfile_serialization=zipped)
    return path


def arrays() -> dict[str, NDArray[Any]]:
    return {"id": np.array(list(NAMED)), "x": np.stack(list(NAMED.values()))}


def table(path: Path) -> Path:
    lines = [f"{name},{a:g},{b:g},{c:g}" for name, (a, b, c) in NAMED.items()]
    path.write_text("\n".join(["id,f0,f1,f2", *lines]) + "\n")
    return path


def test_every_kind_of_file_gives_the_same_tokens(tmp_path: Path) -> None:
    tensors = {name: torch.from_numpy(values) for name, values in NAMED.items()}
    np.savez(tmp_path / "a.npz", **arrays())
    np.savez_compressed(tmp_path / "b.npz", **arrays())
    columns = mapping(tmp_path, layout="rows", name="id", modalities={"audio": {"columns": ["f*"]}})
    tuples = {(r.split, r.dialogue_id, r.utterance_id): vector(r).tolist() for r in RECORDS}
    packs = [
        (by_name(tmp_path), pickled(tmp_path, tuples)),
        (by_name(tmp_path), torch_pack(tmp_path / "a.pt", tensors, zipped=True)),
        (by_name(tmp_path), torch_pack(tmp_path / "b.pt", tensors, zipped=False)),
        (by_row(tmp_path), tmp_path / "a.npz"),
        (by_row(tmp_path), tmp_path / "b.npz"),
        (columns, table(tmp_path / "a.csv")),
    ]
    for number, (layout, path) in enumerate(packs):
        folder = tmp_path / str(number)
        folder.mkdir()
        rows, _ = store_of(folder, layout, path)
        for row, record in zip(rows, RECORDS, strict=True):
            np.testing.assert_array_equal(row.tokens["audio"].values, [vector(record)])


def test_a_pack_divided_by_split(tmp_path: Path) -> None:
    divided = [
        {name.split("_", 1)[1]: values for name, values in NAMED.items() if name.startswith(split)}
        for split in ("train", "dev")
    ]
    layout = mapping(
        tmp_path, layout="utterances", splits={"train": 0, "dev": 1}, modalities={"audio": {}}
    )
    rows, _ = store_of(tmp_path, layout, pickled(tmp_path, divided))
    assert all(row.tokens["audio"].values[0, 2] == (row.key.split == "dev") for row in rows)


def test_rows_without_names_follow_the_index(tmp_path: Path) -> None:
    layout = mapping(tmp_path, layout="rows", modalities={"audio": {"entry": "x"}})
    train = np.stack([vector(record) for record in RECORDS[:4]])
    rows, _ = store_of(tmp_path, layout, pickled(tmp_path, {"x": train}), split="train")
    np.testing.assert_array_equal(np.stack([r.tokens["audio"].values[0] for r in rows]), train)
    (tmp_path / "store").rename(tmp_path / "first")
    path = pickled(tmp_path, {"x": train[:3]})
    message = refused(tmp_path, layout, path, split="train")
    assert "has 3, but 4 in the split train of the index" in message


DESCRIPTORS = "Dialogue_ID,Utterance_ID,has_clip,duration"
LEVELS = (
    "avg_intensity,intensity_variation,avg_pitch,pitch_std,pitch_range,articulation_rate,mean_hnr,"
    "eg_pitch,eg_f0var,eg_energy,eg_jitter,eg_shimmer,eg_flux"
)
UNITS = "AU01,AU02,AU04,AU05,AU06,AU07,AU09,AU10,AU12,AU14,AU15,AU17,AU20,AU23,AU25,AU26,AU45"


def descriptors(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([f"{DESCRIPTORS},{LEVELS},{UNITS}", *rows]) + "\n")
    return path


def test_named_measurements(tmp_path: Path) -> None:
    levels, units = ",".join(map(str, range(13))), ",".join(map(str, range(17)))
    train = descriptors(
        tmp_path / "train_descriptors.csv",
        f"0,0,1,2.5,{levels},{units}",
        f"0,1,0,,{',' * 12},{',' * 16}",
        f"0,3,1,1.5,,{levels[2:]},{',' * 16}",
        f"2,0,0,2.5,{levels},{units}",
    )
    dev = descriptors(tmp_path / "dev_descriptors.csv", f"0,0,1,2,{levels},{units}")
    rows, report = store_of(tmp_path, load_mapping("meld-descriptors"), train, dev)
    shapes = FeatureStore.open(tmp_path / "store").manifest.modalities
    assert shapes["audio"].names == ("duration", *LEVELS.split(","))
    assert shapes["visual"].names == tuple(UNITS.split(","))
    first = rows[0]
    np.testing.assert_array_equal(first.tokens["audio"].values[:, 0], [2.5, *range(13)])
    np.testing.assert_array_equal(first.tokens["visual"].spans, [[0, 2.5]] * 17)
    assert [set(row.tokens) for row in rows[1:4]] == [set(), {"audio"}, set()]
    assert np.flatnonzero(np.isnan(rows[2].tokens["audio"].values)).tolist() == [1]
    assert [row.duration for row in rows[:3]] == [2.5, pytest.approx(0.99), 1.5]
    assert report.present == {"audio": 3, "visual": 2}
    assert report.not_measured == {"audio": 1, "visual": 0}
    assert report.missing == 1


def test_the_real_descriptors(data_dir: Path, tmp_path: Path) -> None:
    meld = data_dir / "meld"
    records = [
        UtteranceRecord(*row.key, row.speaker, row.text, row.emotion)
        for split in ("train", "dev")
        for row in read_meld_table(meld / f"{split}_sent_emo.csv", split)
    ]
    write_index(records, tmp_path / "index.parquet")
    app = typer.Typer()
    app.command()(import_pack)
    files = [str(meld / f"{split}_descriptors.csv") for split in ("train", "dev")]
    store, index = tmp_path / "store", tmp_path / "index.parquet"
    options = ["--mapping", "meld-descriptors", "--index", str(index), "--out", str(store)]
    result = CliRunner().invoke(app, [*files, *options])
    assert result.exit_code == 0, result.output
    rows = list(FeatureStore.open(store).rows())
    assert [row.key for row in rows] == [record.key for record in records]
    assert [str(row.key) for row in rows if not row.tokens] == [
        "train dia125_utt3",
        "dev dia110_utt7",
    ]
    values = np.stack([row.tokens["audio"].values[:, 0] for row in rows if row.tokens])
    assert np.isnan(values).sum(axis=0)[[3, 6]].tolist() == [77 + 12, 370 + 43]


def test_the_store_says_what_made_it(tmp_path: Path) -> None:
    path = pickled(tmp_path, NAMED)
    store_of(tmp_path, by_name(tmp_path), path)
    source = FeatureStore.open(tmp_path / "store").manifest.extractor["audio"]
    assert source["files"][0]["name"] == "pack.pkl"
    assert len(source["files"][0]["sha256"]) == 64
    assert source["mapping"] == {"layout": "utterances", "modalities": {"audio": {}}}


def test_the_same_pack_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        import_packs([pickled(tmp_path, NAMED)], by_name(tmp_path), RECORDS, tmp_path / name)
    one, two = (
        [path.read_bytes() for path in sorted((tmp_path / name).iterdir())]
        for name in ("one", "two")
    )
    assert one == two


def test_a_store_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "notes").touch()
    message = refused(tmp_path, by_name(tmp_path), pickled(tmp_path, NAMED))
    assert "exists already" in message


def changed(**changes: Any) -> dict[str, Any]:
    return {**NAMED, **changes}


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ([1.0, float("nan"), 2.0], "1 of 3 values are not finite"),
        ([1.0, float("inf"), 2.0], "not finite"),
        ([1.0, 1e6, 2.0], "1e+06 do not fit"),
        ([1e-9, 0.0, 0.0], "1e-09 do not fit"),
        ([1.0, 2.0], "2 values wide, but 3 before"),
        ([[1.0, 2.0], [1.0]], "have 2 and 1 values"),
        (["a", "b", "c"], "is no list or array of numbers"),
        ("abc", "is no list or array of numbers"),
        (np.array(["a"]), "is no feature"),
        (torch.zeros(1, 1, 3), "is no feature"),
        (torch.zeros(1).expand(1 << 30), "more values than it stores"),
        (torch.zeros(3).to_sparse(), "special tensor"),
        ([[[0.0] * 1000] * 1000] * 1000, "holds more than numbers"),
        ([[0.0] * 4000] * 4000, "more than 4194304 values"),
    ],
)
def test_bad_features_name_their_utterance(tmp_path: Path, features: Any, expected: str) -> None:
    name = "train_dia2_utt0"
    if isinstance(features, torch.Tensor):
        path = torch_pack(tmp_path / "pack.pt", changed_tensors(name, features), zipped=True)
    else:
        path = pickled(tmp_path, changed(**{name: features}))
    message = refused(tmp_path, by_name(tmp_path), path)
    assert expected in message
    assert f"{path}, train dia2_utt0, audio" in message


def changed_tensors(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    return {**{key: torch.from_numpy(row) for key, row in NAMED.items()}, name: tensor}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"audio": {0: [[1.0]] * 2}}, "audio of dialogue 0 (train dia0), in turns, has 2, but 3"),
        ({"ids": {0: ["0", "x", "3"]}}, "the utterance id 'x' is no whole number"),
        ({"ids": {}}, "utterance ids of dialogue 0 is no list"),
        ({"audio": [1.0]}, "part 4 is no dictionary but a list"),
        ({"audio": {0: 1.0}}, "audio of dialogue 0 (train dia0) is no list or array"),
        ({"labels": {0: [1]}}, "labels of dialogue 0 (train dia0), in turns, has 1, but 3"),
    ],
)
def test_dialogues_that_disagree(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    path = pickled(tmp_path, dialogue_pack(**changes))
    assert expected in refused(tmp_path, load_mapping("mmgcn-meld"), path)


def test_turns_are_counted_against_the_index(tmp_path: Path) -> None:
    layout = mapping(tmp_path, layout="dialogues", modalities={"audio": {"entry": "a"}})
    path = pickled(tmp_path, {"a": {0: np.zeros((2, 3)), 2: np.zeros((1, 3))}})
    message = refused(tmp_path, layout, path, split="train")
    assert "dialogue 0 (train dia0), in turns, has 2, but 3 in the index" in message


@pytest.mark.parametrize(
    ("pack", "split", "expected"),
    [
        ({"dia9_utt9": [1.0]}, "dev", "none of its utterances (the first is dev dia9_utt9)"),
        (NAMED, "dev", None),
        ({"dia0_utt0": [1.0]}, None, "give --split"),
        ({"hello": [1.0]}, "dev", "'hello' names no utterance"),
        ({"dia0_utt0": [1.0], "0_0": [1.0]}, "dev", "dev dia0_utt0 a second time"),
        ([1.0], "dev", "the pack is no dictionary but a list"),
        ({}, "dev", "none of its utterances is in the index"),
    ],
)
def test_keys(tmp_path: Path, pack: Any, split: str | None, expected: str | None) -> None:
    path = pickled(tmp_path, pack)
    if expected is None:
        store_of(tmp_path, by_name(tmp_path), path, split=split)
    else:
        assert expected in refused(tmp_path, by_name(tmp_path), path, split=split)


def bad_csv(path: Path) -> None:
    path.write_text("id,x\ndev_dia0_utt0,1\ndev_dia0_utt1\n")


def word_in_csv(path: Path) -> None:
    path.write_text("id,x\ndev_dia0_utt0,1\ndev_dia0_utt1,loud\n")


def column_twice(path: Path) -> None:
    path.write_text("id,x,x\ndev_dia0_utt0,1,2\n")


def no_column(path: Path) -> None:
    path.write_text("id,y\ndev_dia0_utt0,1\n")


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (bad_csv, "row 2: 1 cells under 2 columns"),
        (word_in_csv, "row 2: x is 'loud', which is no number"),
        (column_twice, "has the column x twice"),
        (no_column, "has no column x: it has 'id', 'y'"),
        (Path.touch, "is empty"),
        (lambda path: path.write_bytes(b"id,x\n\xff,1\n"), "not a CSV file in UTF-8"),
    ],
)
def test_bad_tables(tmp_path: Path, write: Callable[[Path], Any], expected: str) -> None:
    layout = mapping(tmp_path, layout="rows", name="id", modalities={"audio": {"columns": ["x"]}})
    path = tmp_path / "pack.csv"
    write(path)
    assert expected in refused(tmp_path, layout, path)


def npy(array: NDArray[Any], lie: bytes = b"", truth: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue().replace(truth, lie) if lie else buffer.getvalue()


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def test_archives_that_lie(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "bomb.npz", x=npy(np.zeros(8 << 20, np.float32)))
    lying = zipped(tmp_path / "lie.npz", x=npy(np.zeros(3), b"(-3,)", b"(3,)"))
    larger = zipped(tmp_path / "large.npz", x=npy(np.zeros(3), b"(9,)", b"(3,)"))
    objects = zipped(tmp_path / "objects.npz", x=npy(np.array([{}], dtype=object)))
    tensors = tmp_path / "bomb.pt"
    zipped(tensors, x=b"\0" * (1 << 20))
    for path, expected in (
        (bomb, "refused: it unpacks to 33554560 bytes"),
        (lying, "damaged"),
        (larger, "does not hold the 9 values"),
        (objects, "is an array of object"),
        (tensors, "refused: it unpacks to 1048576 bytes, more than it has"),
    ):
        with pytest.raises(AvtError, match=expected):
            read_pack(path)


def test_a_torch_file_with_more_than_tensors(tmp_path: Path) -> None:
    path = torch_pack(tmp_path / "pack.pt", {"x": Path("y")}, zipped=True)
    with pytest.raises(AvtError, match=r"refused.*pathlib"):
        read_pack(path)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"layout": "rows"}, "rows.modalities: field required"),
        ({"layout": "pairs", "modalities": {"audio": {}}}, "'dialogues', 'utterances', 'rows'"),
        ({"layout": "utterances", "modalities": {"audio": {"entri": 1}}}, "entri: unknown key"),
        ({"layout": "utterances", "modalities": {"smell": {}}}, "smell"),
        ({"layout": "utterances", "modalities": {"audio": {"named": True}}}, "need columns"),
        (
            {"layout": "rows", "dialogue": "d", "modalities": {"audio": {"entry": "x"}}},
            "dialogue and utterance go together",
        ),
    ],
)
def test_bad_mappings_name_the_key(tmp_path: Path, settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(AvtError) as caught:
        mapping(tmp_path, **settings)
    assert expected in str(caught.value)


def test_an_unknown_mapping_lists_the_packaged_ones() -> None:
    for name in packaged_mappings():
        load_mapping(name)
    with pytest.raises(AvtError, match="meld-descriptors, meld-release, mmgcn-meld"):
        load_mapping("melt")


def mutations(data: bytes, generator: np.random.Generator, count: int) -> Sequence[bytes]:
    """Cut off, one bit turned, several bytes replaced, or a length made huge."""
    found = []
    for number in range(count):
        place = int(generator.integers(len(data)))
        changed = bytearray(data)
        if number % 4 == 0:
            del changed[place:]
        elif number % 4 == 1:
            changed[place] ^= 1 << int(generator.integers(8))
        elif number % 4 == 2:
            for other in generator.integers(len(data), size=8):
                changed[other] = int(generator.integers(256))
        else:
            changed[place : place + 4] = b"\xff\xff\xff\x7f"
        found.append(bytes(changed))
    return found


def test_damaged_packs_only_ever_give_a_sentence(tmp_path: Path) -> None:
    tensors = {name: torch.from_numpy(values) for name, values in NAMED.items()}
    layout, rows = by_name(tmp_path), by_row(tmp_path)
    np.savez_compressed(tmp_path / "pack.npz", **arrays())
    columns = mapping(tmp_path, layout="rows", name="id", modalities={"audio": {"columns": ["f*"]}})
    packs = [
        (load_mapping("mmgcn-meld"), pickled(tmp_path, dialogue_pack())),
        (layout, torch_pack(tmp_path / "zip.pt", tensors, zipped=True)),
        (layout, torch_pack(tmp_path / "legacy.pt", tensors, zipped=False)),
        (rows, tmp_path / "pack.npz"),
        (columns, table(tmp_path / "pack.csv")),
    ]
    generator = np.random.default_rng(0)
    for number, (kind, path) in enumerate(packs):
        for turn, data in enumerate(mutations(path.read_bytes(), generator, 40)):
            path.write_bytes(data)
            with contextlib.suppress(AvtError):
                import_packs([path], kind, RECORDS, tmp_path / f"{number}-{turn}")
