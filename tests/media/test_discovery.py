"""Which files of a folder are read, and that the rest is named."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from avt_memocmt.errors import AvtError
from avt_memocmt.media.discovery import find_media

NAMES = (
    "a.weba b.M2V c.VOB d.mp2 e.caf f.au g.w64 h.mka i.mxf j.divx k.rm l.3g2 m.qt n.dv o.aifc "
    "p.wave q.m4b r.f4v s.mpe t.asf"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def put(folder: Path, name: str, data: bytes = b"") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "name",
    NAMES.split(),
)
def test_sound_and_video_that_people_have_is_found(folder, name):
    assert find_media(put(folder, name).parent) == [folder / name]


TRANSPORT = (b"G" + bytes(187)) * 4
WITH_TIMES = (bytes(4) + b"G" + bytes(187)) * 4
PROGRAM = b"\0\0\1\xba" + bytes(400)


@pytest.mark.parametrize("data", [TRANSPORT, WITH_TIMES, PROGRAM])
def test_transport_stream_is_told_from_typescript(folder, caplog, data):
    caplog.set_level(logging.WARNING, "avt_memocmt")
    film = put(folder, "film.ts", data)
    put(folder, "page.ts", b"export const answer = 42;\n" * 20)
    put(folder, "Game.ts", b"G" * 10)
    assert find_media(folder) == [film]
    (line,) = caplog.messages
    assert line == f"{folder}: left out 2 files of kinds that are not read (Game.ts, page.ts)."


def test_what_looks_like_media_is_counted_and_named(folder, caplog):
    caplog.set_level(logging.WARNING, "avt_memocmt")
    film = put(folder, "film.mp4")
    put(folder, "recording", b"RIFF\0\0\0\0WAVE")
    put(folder, "sub/backup.mp4.part", b"\0\0\0\x18ftypisom")
    put(folder, "drawing.svg", b"<svg/>")
    put(folder, "labels.csv", b"path,text,emotion\n")
    put(folder, "film.srt", b"1\n")
    put(folder, ".hidden/film.xyz", b"OggS")
    assert find_media(folder) == [film]
    (line,) = caplog.messages
    part = os.path.join("sub", "backup.mp4.part")
    assert f"3 files of kinds that are not read (drawing.svg, recording, {part})" in line


def test_many_are_counted_and_a_few_named(folder, caplog):
    caplog.set_level(logging.WARNING, "avt_memocmt")
    put(folder, "film.mp4")
    for number in range(30):
        put(folder, f"{number:02d}.bak", b"OggS")
    find_media(folder)
    assert "30 files" in caplog.text
    assert "04.bak, ...)" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such permission there")
def test_folder_that_may_not_be_read_is_named(folder, caplog):
    caplog.set_level(logging.WARNING, "avt_memocmt")
    film = put(folder, "film.mp4")
    closed = put(folder, "closed/other.mp4").parent
    closed.chmod(0)
    try:
        found = find_media(folder)
    finally:
        closed.chmod(0o700)
    if found == [film]:
        assert "1 folder that cannot be read (closed)" in caplog.text
    else:  # the superuser may read all
        assert found == [closed / "other.mp4", film]


def test_folder_without_media_says_what_is_there(folder, caplog):
    caplog.set_level(logging.WARNING, "avt_memocmt")
    put(folder, "page.ts", b"let x = 1;\n")
    with pytest.raises(AvtError, match="no media file"):
        find_media(folder)
    assert "page.ts" in caplog.text
