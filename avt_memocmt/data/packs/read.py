"""Reading the files in which researchers exchange features: .pkl, .pt, .npz and .csv.

What a file holds is returned as it is: dictionaries, lists and tuples of arrays, tensors, numbers
and text. No reader runs code from the file, and none takes more memory than fits its size.
"""

from __future__ import annotations

import csv
import math
import pickle
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avt_memocmt.data.packs.safe_pickle import load_pickle, load_tensors
from avt_memocmt.errors import AvtError

MAX_BYTES = 4 << 30
"""Largest pack that is read, unpacked."""

MAX_RATIO = 100
"""Largest ratio of the unpacked to the packed size; that of features is far below."""

_SMALL = 16 << 20
"""Unpacked bytes up to which any ratio is accepted."""

_NOT_IN_NUMPY = (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)

_ZIP_MAGIC = b"PK\x03\x04"

_NPY_HEADERS: dict[tuple[int, int], Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_pack(path: Path) -> Any:
    """Read a feature pack, by the ending of its name.

    Returns:
        What was saved; for .npz a dictionary of arrays, for .csv a dictionary of columns, each a
        list of text.

    Raises:
        AvtError: the file is missing, damaged, too large or of another kind, or holds more than
            data.
    """
    readers = {
        ".pkl": load_pickle,
        ".pickle": load_pickle,
        ".p": load_pickle,
        ".pt": _read_torch,
        ".pth": _read_torch,
        ".npz": _read_npz,
        ".csv": _read_csv,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise AvtError(f"{path} is no feature pack; give a file ending in {', '.join(readers)}.")
    if not path.is_file():
        raise AvtError(f"{path} is missing; give a feature pack.")
    if path.stat().st_size > MAX_BYTES:
        raise AvtError(f"{path} is over {MAX_BYTES >> 30} GiB; divide it by split.")
    try:
        return reader(path)
    except OSError as error:
        reason = error.strerror or error
        raise AvtError(f"cannot read {path}: {reason}; it may be damaged, get it again.") from error


def array_of_tensor(tensor: torch.Tensor, what: str) -> NDArray[Any]:
    """Return a tensor as an array, which shares its memory where NumPy has the type.

    Raises:
        AvtError: it is sparse, quantised, not on the CPU or not of numbers, or repeats values that
            are stored once, so that a small file would fill the memory.
    """
    is_plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not is_plain or tensor.is_quantized:
        raise AvtError(f"{what} is a special tensor; save dense tensors of numbers.")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise AvtError(f"{what} is a tensor with more values than it stores; save a copy of it.")
    tensor = tensor.detach()
    try:
        return (tensor.float() if tensor.dtype in _NOT_IN_NUMPY else tensor).numpy()
    except (TypeError, RuntimeError) as error:
        raise AvtError(f"{what} is a tensor of {tensor.dtype}; save numbers.") from error


def _read_torch(path: Path) -> Any:
    """Tensors in containers, in either of torch's formats."""
    try:
        with path.open("rb") as file:
            is_zip = file.read(4) == _ZIP_MAGIC
        if is_zip:
            _check_stored(path)
        return load_tensors(path)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"it holds {found[1]}" if found else "it holds more than tensors"
        raise AvtError(
            f"{path} is refused or damaged: {what}; save a dictionary of tensors, or arrays as "
            ".npz or .pkl."
        ) from error
    except (AvtError, OSError):
        raise
    except Exception as error:  # whatever damaged bytes lead torch's reader to
        raise AvtError(f"{path} is damaged or no torch file; get it again.") from error


def _check_stored(path: Path) -> None:
    """Refuse a compressed archive, which torch never writes: it was made to fill the memory."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > path.stat().st_size:
        raise AvtError(
            f"{path} is refused: it unpacks to {unpacked} bytes, more than it has; save it with "
            "torch.save."
        )


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > min(MAX_BYTES, max(_SMALL, MAX_RATIO * path.stat().st_size)):
                raise AvtError(
                    f"{path} is refused: it unpacks to {unpacked} bytes; divide it by split, or "
                    "save it uncompressed with numpy.savez."
                )
            for member in archive.infolist():
                _check_member(path, archive, member)
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (AvtError, OSError):
        raise
    except Exception as error:  # whatever damaged bytes lead NumPy's reader to
        raise AvtError(f"{path} is damaged or no .npz file; get it again.") from error


def _check_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Check that the header of an array describes exactly the bytes that follow it."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise zipfile.BadZipFile
    with archive.open(member) as file:
        read_header = _NPY_HEADERS[np.lib.format.read_magic(file)]
        shape, _, dtype = read_header(file)
        if dtype.kind not in "biufSU":
            raise AvtError(
                f"{path} is refused: {member.filename} is an array of {dtype}; save numbers or "
                "text."
            )
        if math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
            raise AvtError(
                f"{path} is damaged: {member.filename} does not hold the {math.prod(shape)} "
                "values its header tells of; get it again."
            )


def _read_csv(path: Path) -> dict[str, list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = (row for row in csv.reader(file) if row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise AvtError(f"{path} is not a CSV file in UTF-8: {error}.") from error
    except ValueError as error:
        raise AvtError(f"{path} is empty; give a table with a header.") from error
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise AvtError(f"{path} has the column {twice[0]} twice; rename one.")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise AvtError(
                f"{path}, row {number}: {len(row)} cells under {len(header)} columns; the file may "
                "be cut off, get it again."
            )
    if not rows:
        raise AvtError(f"{path} has no rows; give one row per utterance.")
    return {name: [row[column] for row in rows] for column, name in enumerate(header)}
