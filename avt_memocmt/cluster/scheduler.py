"""How a Dask scheduler is found and spoken to."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from avt_memocmt.errors import AvtError

if TYPE_CHECKING:
    from distributed import Client

ANSWER_WITHIN = 10.0
"""Seconds within which the scheduler must answer."""
QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}
"""Settings of Dask with which a worker takes 0.4 % of a processor for itself; without them 3 %."""


def scheduler_address(scheduler: str) -> str:
    """The address of a scheduler.

    Args:
        scheduler: the address itself, as tcp://HOST:PORT, or the file that `dask scheduler
            --scheduler-file` writes.

    Raises:
        AvtError: there is no such file, or it is not from a scheduler.
    """
    if "://" in scheduler:
        return scheduler
    try:
        address = json.loads(Path(scheduler).read_text(encoding="utf-8"))["address"]
    except OSError as error:
        raise AvtError(
            f"the scheduler file {scheduler} cannot be read ({error.strerror}); give the file that "
            "dask scheduler --scheduler-file writes, or an address as tcp://HOST:PORT."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise AvtError(
            f"{scheduler} is not what dask scheduler --scheduler-file writes; start the scheduler "
            "again, or give its address as tcp://HOST:PORT."
        ) from error
    return str(address)


def connect(address: str) -> Client:
    """Connect to a scheduler.

    Raises:
        AvtError: none answers, or it asks for certificates that are not configured.
    """
    from distributed import Client
    from distributed.security import Security

    if address.startswith("tls://") and not Security().get_connection_args("client")["ssl_context"]:
        raise AvtError(
            f"{address} asks for TLS, and Dask's configuration names no certificates; set "
            "distributed.comm.tls in ~/.config/dask/tls.yaml."
        )
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is one sentence here
    try:
        return Client(address, timeout=ANSWER_WITHIN, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise AvtError(
            f"no scheduler answers at {address} ({' '.join(str(error).split())}); start one with "
            "dask scheduler, or check address, firewall and TLS."
        ) from error
