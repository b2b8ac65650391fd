"""Manifests as Excel and colleagues write them: read, or refused with the cause and its line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from avt_memocmt.data.manifest import ManifestRow, read_manifest
from avt_memocmt.data.table import read_table
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError

PLAIN = "path,text,emotion,start,end\na.wav,Hello,joy,1.5,3\nb.wav,,anger,,\n"
SEMICOLON = "path;text;emotion;start;end\na.wav;Hello;joy;1,5;3\nb.wav;;anger;;\n"


def read(folder: Path, content: str | bytes) -> list[ManifestRow]:
    path = folder / "clips.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [row for turns in read_manifest(path) for row in turns]


def summary(rows: list[ManifestRow]) -> list[tuple[object, ...]]:
    return [
        (row.path and row.path.name, row.text, EMOTIONS[row.emotion], row.start, row.end)
        for row in rows
    ]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\n ,\n" + PLAIN.replace("\n", "\n,,,,\n"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        SEMICOLON,
        "sep=;\n" + SEMICOLON,
        '"sep=;"\r\n' + SEMICOLON,
        "SEP=\t\n" + PLAIN.replace(",", "\t"),
        PLAIN.replace("path,text,emotion", 'Path, TEXT ,"Emotion"'),
        PLAIN.replace("path", "\ufeffpath"),
        PLAIN.replace("path,", ",path,").replace("a.wav", "0,a.wav").replace("b.wav", "1,b.wav"),
        PLAIN.encode("utf-8-sig"),
        b"\xef\xbb\xbf" + PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.replace(",", "\t").encode("utf-16"),  # Excel's "Unicode text"
        PLAIN.replace("joy", " JOY ").replace("anger", "Angry\u00a0"),
        PLAIN.replace("3\n", "3,,\n"),
    ],
)
def test_what_programs_write_is_read(tmp_path: Path, content: str | bytes) -> None:
    assert summary(read(tmp_path, content)) == [
        ("a.wav", "Hello", "joy", 1.5, 3.0),
        ("b.wav", "", "anger", 0.0, None),
    ]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Ça va, mon cher ami? Déjà…"),
        ("cp1251", "Я так рад тебя видеть"),
        ("gb18030", "我很高兴再次见到你，我亲爱的朋友"),
        ("cp932", "また会えてとても嬉しいです、親愛なる友よ"),
    ],
)
def test_encodings_of_other_countries(tmp_path: Path, encoding: str, text: str) -> None:
    rows = read(tmp_path, f'path,text,emotion\n,"{text}",joy\n'.encode(encoding))
    assert rows[0].text == text.replace("…", "...")


def test_a_row_is_named_by_its_first_line(tmp_path: Path) -> None:
    rows = read(tmp_path, 'path,text,emotion\n\na.wav,"one\ntwo",joy\nb.wav,x,fear\n')
    assert [row.line for row in rows] == [3, 5]
    assert [row.line for row in read(tmp_path, "sep=,\n" + PLAIN)] == [3, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('path,text,emotion\n\na.wav,"one\ntwo",joy\nb.wav,x,bad\n', "line 5: unknown emotion"),
        ('path,text,emotion\na.wav,"one,joy\nb.wav,two,joy\n', "line 2: a quote is never closed"),
        ("path,text,emotion\na.wav,Well, no,joy\n", "line 2: 4 cells where the header has 3"),
        ("path,text,emotion\na.wav,Hi,\n", "line 2: the emotion is missing"),
        ("path,text,emotion\na.wav,Hi\n", "line 2: the emotion is missing"),
        ("path,text,emotion\na.wav,Hi,4\n", "line 2: unknown emotion '4': a number .* 4 joy"),
        ("a.wav,Hi,joy\n", "lacks the column path, text, emotion; .* first line has: a.wav, Hi"),
        ("path,text,Text,emotion\na.wav,Hi,Hi,joy\n", "has the column text twice"),
        ("path,text,emotion,start\na.wav,Hi,joy,1_0\n", "line 2: start '1_0' is not a number"),
        ("path,text,emotion,end\na.wav,Hi,joy,1e999\n", "line 2: end '1e999' is not a number"),
        ("path,text,emotion,end\na.wav,Hi,joy,0:05\n", "line 2: end '0:05' is not a number"),
        (f"path,text,emotion\na.wav,{'x' * 200_000},joy\n", "line 2: this is no row of a CSV"),
        ("path,text,emotion\n,,\n \n", "has no rows"),
        ("", "lacks the column path, text, emotion; .* has: none"),
        (b"PK\x03\x04\0\0", "is a workbook, .* export it as text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xd8", "is not a text file"),
        (
            "Sr No.,Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\n1,Hi,Joey,joy,0,0\n",
            "lacks the column path, text; .* MELD's own tables give the folder, with --meld",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_cause(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(AvtError, match=rf"clips\.csv.*{message}"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("label", "emotion"),
    [("NEU", "neutral"), ("hap", "joy"), ("Ang", "anger"), ("DIS", "disgust"), ("fea", "fear")],
)
def test_labels_of_iemocap_and_crema_d(tmp_path: Path, label: str, emotion: str) -> None:
    assert EMOTIONS[read(tmp_path, f"path,text,emotion\n,Hi,{label}\n")[0].emotion] == emotion


def test_paths_of_windows_are_found(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.wav").touch()
    row = read(tmp_path, "path,text,emotion\nclips\\a.wav,Hi,joy\n")[0]
    assert row.path is not None
    assert row.path.exists()


def test_other_columns_keep_their_names(tmp_path: Path) -> None:
    row = read(tmp_path, "Path;Text;Emotion;Dialogue ID; Age Group \n;Hi;joy;7; old \n")[0]
    assert row.cells["Age Group"] == "old"
    assert row.dialogue == "dialogue 7"


@pytest.mark.parametrize("seed", range(3))
def test_any_cells_come_back_as_they_were_written(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    for separator in ",;\t|":
        cells = [
            "".join(choose.choices('ab "\n,;\t|é', k=choose.randint(1, 12))) for _ in range(20)
        ]
        quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
        rows = [f"x{separator}{cell}" for cell in quoted]
        path = tmp_path / "table.csv"
        path.write_text("\n\n".join([f"key{separator}value", *rows]), "utf-8", newline="")
        assert [row.cells["value"] for row in read_table(path, ("key", "value"), "")] == cells
