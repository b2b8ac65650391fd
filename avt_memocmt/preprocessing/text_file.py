"""Text files as people have them: the encoding is found out."""

from __future__ import annotations

import codecs
import logging
from pathlib import Path

import chardet
from chardet import EncodingEra

from avt_memocmt.errors import AvtError

LEAST_SURE = 0.05
"""Least confidence at which the encoding that the bytes suggest is believed. Below it stand short
texts with few accents, which are taken for Western European."""

_log = logging.getLogger(__name__)
_BINARY = {
    b"PK\x03\x04": "a workbook, a document or another archive",
    b"\xd0\xcf\x11\xe0": "a workbook or document of an old Office",
    b"%PDF": "a PDF",
}


def read_text_file(path: Path, what: str, most_bytes: int) -> str:
    """Read a text in UTF-8, UTF-16 or the encoding that its bytes suggest, which is then logged.

    Args:
        path: the file.
        what: for messages, such as "the transcript".
        most_bytes: a larger file is refused.

    Raises:
        AvtError: the file cannot be read, is too large, or is no text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise AvtError(f"cannot read {what} {path}: {error.strerror}.") from error
    if len(content) > most_bytes:
        raise AvtError(f"{what} {path} is above {most_bytes // 10**6} MB; split it.")
    for start, kind in _BINARY.items():
        if content.startswith(start):
            raise AvtError(f"{what} {path} is {kind}, not text; export it as text in UTF-8.")
    try:
        text, encoding = _decode(content)
    except UnicodeDecodeError as error:
        raise AvtError(f"{what} {path} is not a text file.") from error
    if encoding is not None:
        _log.info("%s %s is not in UTF-8; it was read as %s.", what, path, encoding)
    return text


def _decode(content: bytes) -> tuple[str, str | None]:
    """The text, and the name of the encoding where it had to be guessed."""
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return content.decode("utf-32"), None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16"), None
    zeros = b"\0" in content[0::2], b"\0" in content[1::2]
    if any(zeros):
        # UTF-16 without a mark: the zero bytes of its line ends tell the byte order.
        if all(zeros):
            raise UnicodeDecodeError("utf-16", content, 0, 1, "zeros at both bytes")
        return content.decode("utf-16-le" if zeros[1] else "utf-16-be"), None
    try:
        return content.decode("utf-8-sig"), None
    except UnicodeDecodeError:
        return _guess(content)


def _guess(content: bytes) -> tuple[str, str]:
    # Of the detectors tried, charset-normalizer took Shift-JIS for Korean and French for Johab;
    # DOS and Macintosh code pages are left out because they resemble those of Windows.
    found = chardet.detect(content, encoding_era=EncodingEra.MODERN_WEB)
    sure = found["confidence"] >= LEAST_SURE
    for encoding in (found["encoding"] if sure else None, "cp1252"):
        try:
            if encoding is not None:
                return content.decode(encoding), encoding
        except (UnicodeDecodeError, LookupError):
            continue
    return content.decode("latin-1"), "latin-1"
