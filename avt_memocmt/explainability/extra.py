"""Whether what explanations need beyond the core is installed; imports nothing of it."""

from __future__ import annotations

import importlib.util

from avt_memocmt.errors import AvtError


def require_captum() -> None:
    """Say how Captum is installed where it is not.

    Raises:
        AvtError: it is not.
    """
    if importlib.util.find_spec("captum") is None:
        raise AvtError(
            "explanations need the package captum; install its extra with: "
            "pip install 'avt-memocmt[explain]'"
        )
