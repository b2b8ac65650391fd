"""Where a feature store lies: a folder, or a URL of an object store that every machine reaches."""

from __future__ import annotations

from pathlib import Path
from typing import cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

from avt_memocmt.errors import AvtError
from avt_memocmt.extras import require_extra

OBJECT_STORES = ("s3", "gs", "gcs", "az", "abfs", "memory")
"""Protocols of fsspec whose objects appear whole, as shards must."""


def store_folder(address: str) -> Path:
    """The folder of a store, from a path or from a URL such as s3://BUCKET/NAME.

    Returns:
        A path; for a URL an object that is used like one (`UPath`), without being one.

    Raises:
        AvtError: the protocol is none of `OBJECT_STORES`, or what speaks it is not installed.
    """
    if "://" not in address:
        return Path(address)
    protocol, path = urlsplit(address).scheme, urlsplit(address).path
    if protocol == "file":
        return Path(url2pathname(path))
    if protocol not in OBJECT_STORES:
        raise AvtError(
            f"{address} is neither a folder nor an object store that is known here "
            f"({', '.join(OBJECT_STORES)}); give one of them."
        )
    require_extra("cluster", ("upath",), "a store at a URL needs")
    from upath import UPath

    # Listings are not cached: other machines write there too.
    folder = UPath(address, use_listings_cache=False)
    try:
        _ = folder.fs
    except ImportError as error:
        raise AvtError(f"{address} cannot be opened: {error}.") from error
    return cast(Path, folder)
