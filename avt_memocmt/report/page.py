"""The shell of every page: one HTML file that loads nothing from outside."""

from __future__ import annotations

import base64
import html
import unicodedata
from collections.abc import Sequence

from avt_memocmt.report.style import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""The page loads and runs nothing, even if hostile text slipped through."""


def html_page(title: str, body: Sequence[str], policy: str = POLICY, style: str = STYLE) -> str:
    """A whole page around the parts of its body.

    Args:
        title: plain text.
        body: HTML, in order.
        policy: what the page may load.
        style: CSS of the page.
    """
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>{escaped(title)}</title>\n<style>{style}</style>\n</head>\n<body>",
            *body,
            "</body>\n</html>\n",
        ]
    )


def data_uri(kind: str, data: bytes) -> str:
    """A file inside the page: its MIME type and bytes as a URI."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def escaped(text: str) -> str:
    """Text that is safe inside HTML and SVG, attributes included.

    Control characters and undecodable bytes of file names become the replacement character.
    """
    return html.escape("".join("\ufffd" if _is_unwritable(c) else c for c in text), quote=True)


def _is_unwritable(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t"
