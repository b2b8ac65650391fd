"""The shell of every page: one HTML file that loads nothing from outside."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from avt_memocmt.explainability.report_style import STYLE
from avt_memocmt.explainability.timeline import escaped

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
