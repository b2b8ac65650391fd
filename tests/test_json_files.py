"""JSON that can be printed anywhere, and an array that is whole after every item."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from full_disk import full_disk

from avt_memocmt.errors import AvtError
from avt_memocmt.json_files import JsonArrayFile, json_text
from avt_memocmt.printable import path_text, printable

HOSTILE = "a\x1b[31m\x07\x9bb\nc\r\u202ed\u2066e\u2028\x7f\t"


def items(count: int) -> list[dict[str, object]]:
    return [
        {"media": f"clip {n}.wav", "text": "日本 \"\\ '", "list": [n, None]} for n in range(count)
    ]


def test_the_file_is_whole_after_every_item_and_as_if_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "array.json"
    path.write_text("[1, 2]")
    array = JsonArrayFile(path)
    assert json.loads(path.read_text()) == [1, 2]  # an earlier run's, until there is a result
    for count in range(1, 6):
        array.add(items(5)[count - 1])
        written = path.read_text(encoding="utf-8")
        assert written == json.dumps(items(count), indent=2, ensure_ascii=False)
    array.write()
    array.close()
    assert path.read_text(encoding="utf-8") == written
    assert [file.name for file in tmp_path.iterdir()] == ["array.json"]


def test_an_array_without_items_is_empty(tmp_path: Path) -> None:
    array = JsonArrayFile(tmp_path / "array.json")
    array.write()
    array.close()
    assert json.loads((tmp_path / "array.json").read_text()) == []


@pytest.mark.parametrize("room", [0, 1, 10, 300, 301, 302, 310, 400, 450])
def test_on_a_full_disk_the_file_stays_whole_and_items_wait(tmp_path: Path, room: int) -> None:
    path = tmp_path / "array.json"
    array = JsonArrayFile(path)
    with full_disk(room):
        for item in items(6):
            with suppress(AvtError):
                array.add(item)
            whole = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
            assert whole == items(len(whole))
        assert len(whole) + array.waiting == 6
        with pytest.raises(AvtError, match="File too large"):
            array.write()
    array.write()
    array.close()
    assert json.loads(path.read_text(encoding="utf-8")) == items(6)


def test_an_interrupted_write_is_undone_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "array.json"
    array = JsonArrayFile(path)
    array.add(1)
    with path.open("r+b") as file:  # what an interrupt in the middle of a write leaves
        file.seek(-2, 2)
        file.write(b",\n  {half")
    array.close()
    assert json.loads(path.read_text()) == [1]


def test_json_holds_no_control_and_reads_back() -> None:
    for ascii_only in (False, True):
        text = json_text({"name": HOSTILE}, ascii_only=ascii_only)
        assert json.loads(text) == {"name": HOSTILE}
        assert text.isprintable()
    assert "é" in json_text("é")
    json_text("\ud800\udce9").encode()


def test_printable_text_is_one_line_without_controls() -> None:
    shown = printable(HOSTILE)
    assert shown == r"a\x1b[31m\x07\x9bb\x0ac\x0d\u202ed\u2066e\u2028\x7f\x09"
    assert printable(shown) == shown
    assert printable("日本 ünï 🎭 שלום.wav") == "日本 ünï 🎭 שלום.wav"
    assert printable("caf\udce9.wav") == r"caf\xe9.wav"


def test_a_path_becomes_valid_text() -> None:
    assert path_text("a/日本.wav") == "a/日本.wav"
    assert path_text("caf\udce9.wav") == r"caf\xe9.wav"
    path_text("\ud800").encode()
