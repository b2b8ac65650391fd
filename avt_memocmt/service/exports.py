"""Which formats a result is exported in, and who writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from avt_memocmt.overlay import OVERLAY_SUFFIX

REPORT = "report"
"""The page of `predict --out`."""
OVERLAY = "overlay"
"""The film with the answer on it."""


@dataclass(frozen=True)
class Download:
    """A file that a result is exported as.

    Attributes:
        suffix: of its name.
        media_type: of its content.
        by_worker: whether the media is read again for it, which only a worker may do.
    """

    suffix: str
    media_type: str
    by_worker: bool = False


@cache
def downloads() -> Mapping[str, Download]:
    """What there is to download, by the name of the format."""
    from avt_memocmt.exports.formats import FORMATS  # its libraries are not needed to start

    found = {
        name: Download(form.suffix, form.media_type, form.needs_faces)
        for name, form in FORMATS.items()
    }
    return {
        **found,
        REPORT: Download(".html", "text/html"),
        OVERLAY: Download(OVERLAY_SUFFIX, "video/mp4", by_worker=True),
    }
