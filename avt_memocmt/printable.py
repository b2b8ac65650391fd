"""File names and other people's text as text that can be printed and stored anywhere."""

from __future__ import annotations

import os
import re

# Control characters move the cursor, colour or retitle a terminal; line separators and the controls
# of writing direction make one name look like several lines or like another name.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Return one line that a terminal shows as it is: what would control it becomes "\x1b"."""
    return _UNPRINTABLE.sub(_escape, text)


def path_text(path: str) -> str:
    r"""Return a path as valid Unicode: bytes that could not be decoded become such as "\xe9"."""
    try:
        return os.fsencode(path).decode()  # names are UTF-8 also where the locale is another
    except UnicodeError:
        return _SURROGATE.sub(_escape, path)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # stands for a byte that could not be decoded
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
