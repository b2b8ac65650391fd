"""Whether the package that explanations need is installed; importing this loads none."""

from __future__ import annotations

from avt_memocmt.extras import require_extra


def require_captum() -> None:
    """Check that Captum is installed.

    Raises:
        AvtError: it is not; the message says how to install it.
    """
    require_extra("explain", ("captum",), "explanations need")
