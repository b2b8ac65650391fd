"""The film with the answer on it."""

OVERLAY_SUFFIX = ".overlay.mp4"
"""Of such films, behind the name of their media."""
