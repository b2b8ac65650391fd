"""Receives a form with a file and writes it to disk while it comes, up to a limit."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from avt_memocmt.errors import AvtError
from avt_memocmt.media.discovery import MEDIA_SUFFIXES
from avt_memocmt.preprocessing.transcripts import MAX_BYTES, SUFFIXES
from avt_memocmt.printable import printable

MOST_OPTIONS = 100_000
"""Bytes of the options."""
MOST_NAME = 200
"""Characters of a file's name that are kept."""
_AT_ONCE = 1_000_000  # bytes that are written in one go, in a thread


class FormError(AvtError):
    """The form is not what the service takes."""


class TooLargeError(AvtError):
    """A part of the form is larger than it may be."""


@dataclass
class Upload:
    """A form that was received.

    Attributes:
        name: of the file, as its user knows it; display text alone.
        media: name of the file in the upload's folder.
        transcript: name of the transcript in it.
        options: JSON text; "" where there is none.
    """

    name: str = ""
    media: str | None = None
    transcript: str | None = None
    options: str = ""


@dataclass
class _Part:
    """A part of the form that is being received."""

    name: str
    filename: str
    limit: int
    size: int = 0
    data: list[bytes] = field(default_factory=list)
    file: BinaryIO | None = None


async def receive_upload(request: Request, folder: Path, max_upload: int) -> Upload:
    """Receive the form of a request.

    Starlette's own form would take all of it, into a temporary folder, before any limit is looked
    at.

    Args:
        request: whose body was not read yet.
        folder: for the files.
        max_upload: bytes of the file.

    Raises:
        TooLargeError: a part is too large; the rest was not read.
        FormError: the body is no form with a file.
    """
    form = _Form(folder, max_upload)
    kind, parameters = parse_options_header(request.headers.get("content-type"))
    boundary = parameters.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise FormError("send a form (multipart/form-data) with the part file.")
    parser = MultipartParser(boundary, form.callbacks())  # type: ignore[arg-type]
    waiting: list[bytes] = []

    def take() -> None:
        for data in waiting:
            parser.write(data)
        waiting.clear()

    try:
        async for data in request.stream():
            waiting.append(data)
            if sum(map(len, waiting)) >= _AT_ONCE:
                await run_in_threadpool(take)
        await run_in_threadpool(take)
        parser.finalize()
    except MultipartParseError as error:
        raise FormError("the form is damaged; send it again.") from error
    finally:
        form.close()
    if form.upload.media is None:
        raise FormError("the form has no part file; put the media into it.")
    return form.upload


class _Form:
    """Takes the parts of a form as the parser finds them."""

    def __init__(self, folder: Path, max_upload: int) -> None:
        self.upload = Upload()
        self._folder = folder
        self._limits = {"file": max_upload, "transcript": MAX_BYTES, "options": MOST_OPTIONS}
        self._header = b"", b""
        self._disposition = b""
        self._part: _Part | None = None

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._take_field,
            "on_header_value": self._take_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._write,
            "on_part_end": self._end,
        }

    def close(self) -> None:
        if self._part is not None and self._part.file is not None:
            self._part.file.close()

    def _begin(self) -> None:
        self._header = b"", b""
        self._disposition = b""

    def _take_field(self, data: bytes, start: int, end: int) -> None:
        self._header = self._header[0] + data[start:end], b""

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._header = self._header[0], self._header[1] + data[start:end]

    def _end_header(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._disposition = self._header[1]
        self._header = b"", b""

    def _open(self) -> None:
        _, parameters = parse_options_header(self._disposition)
        name = parameters.get(b"name", b"").decode("utf-8", "replace")
        filename = parameters.get(b"filename", b"").decode("utf-8", "replace")
        if name not in self._limits:
            raise FormError(
                f"the part {name[:40]!r} is unknown; send file, transcript and options."
            )
        self._part = _Part(name, filename, self._limits.pop(name))
        if name == "file":
            self.upload.name = display_name(filename)
            self.upload.media = "media" + _known_suffix(filename, MEDIA_SUFFIXES, "")
            self._part.file = (self._folder / self.upload.media).open("xb")
        elif name == "transcript":
            self.upload.transcript = "transcript" + _known_suffix(filename, SUFFIXES, ".txt")
            self._part.file = (self._folder / self.upload.transcript).open("xb")

    def _write(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        assert part is not None
        part.size += end - start
        if part.size > part.limit:
            raise TooLargeError(
                f"the {part.name} is larger than {part.limit / 1e6:g} MB; send a smaller one."
            )
        if part.file is not None:
            part.file.write(data[start:end])
        else:
            part.data.append(data[start:end])

    def _end(self) -> None:
        part = self._part
        assert part is not None
        if part.file is not None:
            part.file.close()
        else:
            self.upload.options = b"".join(part.data).decode("utf-8", "replace")
        self._part = None


def display_name(filename: str) -> str:
    """The last part of a file's name as one line of text."""
    last = re.split(r"[/\\]", filename)[-1].strip()
    return printable(last)[:MOST_NAME] or "upload"


def _known_suffix(filename: str, known: frozenset[str] | tuple[str, ...], other: str) -> str:
    """The suffix of a name where it is one of those that are known: readers go by some of them."""
    found = Path(filename).suffix.lower()
    return found if found in known else other
