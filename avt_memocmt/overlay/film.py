"""The film with the answer on it."""

from __future__ import annotations

OVERLAY_SUFFIX = ".overlay.mp4"
"""Of the name of such a film, behind the name of its media."""
