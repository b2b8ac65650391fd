"""Pickles of strangers: data comes back, everything else is refused before it does harm."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avt_memocmt.data.packs import safe_pickle, unpickler
from avt_memocmt.data.packs.safe_pickle import load_pickle
from avt_memocmt.errors import AvtError


def load(tmp_path: Path, data: bytes) -> Any:
    path = tmp_path / "pack.pkl"
    path.write_bytes(data)
    return load_pickle(path)


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def fetch(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


def assert_same(value: Any, expected: Any) -> None:
    if isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(value, expected)
        assert value.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
    elif isinstance(expected, torch.Tensor):
        assert value.dtype == expected.dtype
        assert torch.equal(value, expected)
    elif isinstance(expected, list | tuple):
        assert type(value) is type(expected)
        for one, other in zip(value, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, dict):
        assert list(value) == list(expected)
        for key in expected:
            assert_same(value[key], expected[key])
    else:
        assert value == expected


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_gives_the_data_back(tmp_path: Path, protocol: int) -> None:
    turns = defaultdict(list)
    turns["dia0"].append(1.5)
    data = (
        {0: [1, -2, 2**40, 2.5, None, True, "né", b"\x80"], ("train", 1): {1, "a"}},
        [np.arange(6, dtype=">f4").reshape(2, 3), np.asfortranarray(np.eye(3)), np.eye(4)[::2]],
        [np.array(["ab", "c"]), np.array([True]), np.float32(1.5), np.int64(3), np.zeros((0, 5))],
        [torch.arange(6.0).reshape(2, 3).T, torch.tensor(1.0), torch.ones(2).bfloat16()],
        [OrderedDict(a=1, b=2), turns, frozenset([2]), bytearray(b"z")],
    )
    assert_same(load(tmp_path, pickle.dumps(data, protocol=protocol)), data)


def test_python_2_text_is_latin_1(tmp_path: Path) -> None:
    assert load(tmp_path, b"\x80\x02U\x02\xe9!.") == "é!"


def test_shared_parts_stay_shared(tmp_path: Path) -> None:
    row = [1.0]
    first, second = load(tmp_path, pickle.dumps([row, row]))
    assert first is second


class Harm:
    """What `pickle.load` would run."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


LYING_ARRAY = pickle.dumps(np.zeros(4, np.float32), 4).replace(b"K\x04\x85", b"J\0\0\0\x40\x85")
LIST = fetch("builtins", "list")
HOSTILE = {
    "call": (pickle.dumps(Harm(os.system, "echo harm")), "system"),
    "eval": (fetch("builtins", "eval") + text("1+1") + b"\x85R.", "builtins.eval"),
    "getattr": (fetch("builtins", "getattr") + b".", "builtins.getattr"),
    "dotted": (fetch("numpy", "ndarray.tofile") + b".", "numpy.ndarray.tofile"),
    "old call": (b"cos\nsystem\n(S'echo harm'\ntR.", "os.system"),
    "INST": (b"(S'echo harm'\nios\nsystem\n.", "os.system"),
    "OBJ": (b"(" + fetch("os", "system") + text("echo harm") + b"o.", "os.system"),
    "NEWOBJ": (fetch("numpy", "ndarray") + b")\x81.", "NEWOBJ"),
    "EXT": (b"\x82\x01.", "extension code 1"),
    "PERSID": (b"Pname\n.", "persistent id"),
    "call of data": (b"]" + b")R.", "'list' object is not callable"),
    "call of ndarray": (fetch("numpy", "ndarray") + b"J\0\0\0\x7f\x85R.", "numpy.ndarray"),
    "state for a function": (fetch("builtins", "set") + b"}b.", "a state for a function"),
    "lying array": (LYING_ARRAY, "1073741824 values in 16 bytes"),
    "object array": (pickle.dumps(np.array([object], dtype=object)), "type O8"),
    "records": (pickle.dumps(np.zeros(1, [("a", "f4")])), "type V4"),
    "date": (pickle.dumps(np.array(["2020-01-01"], "M8[D]")), "type M8"),
    "class": (pickle.dumps(Path("x")), "pathlib"),
    "huge integer": (pickle.dumps(1 << 200), "64 bits"),
    "list as key": (b"}](" + b"K\x01eNs.", "type: 'list'"),
    "deep key": (b"}" + b")" + b"\x85" * 5 + b"K\x01s.", "type tuple"),
    "deep list": (b"]" * 40 + b"a" * 39 + b".", "nested more than"),
    "many objects": (b"(" + b"]" * 400_000 + b"l.", "more objects"),
    "long key": (b"}" + b"(" + b"N" * 2000 + b"tNs.", "type tuple"),
    "long text as key": (b"}X\xd0\x07\0\0" + b"a" * 2000 + b"Ns.", "over 1000 characters"),
    "copies": (
        b"(" + b"N" * 10_000 + b"l\x85\x94(" + LIST + b"\x940" + b"h\x01h\x00R" * 10_000 + b"t.",
        "more objects",
    ),
    "tensor file in a tensor": (
        fetch("torch.storage", "_load_from_bytes") + b"C\x04PK\x03\x04\x85R.",
        "another format",
    ),
    "far memo": (b"Nr\xff\xff\xff\x7f.", "more objects"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_is_refused_by_name(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data, named = HOSTILE[name]
    with pytest.raises(AvtError, match=r"pack\.pkl is refused") as caught:
        load(tmp_path, b"\x80\x04" + data)
    assert named in str(caught.value)
    assert "harm" not in capfd.readouterr().out


def test_a_pickle_that_crashes_the_interpreter_ends_a_child_process(tmp_path: Path) -> None:
    deep_key = b"})" + b"\x85" * 1_000_000 + b"K\x01s."  # hashing it overflows the stack of C
    with pytest.raises(AvtError, match=r"pack\.pkl is refused"):
        load(tmp_path, b"\x80\x04" + deep_key)


def test_reading_ends_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_pickle, "_SECONDS", 0.001)
    with pytest.raises(AvtError, match=r"refused.* takes over"):
        load(tmp_path, pickle.dumps([1.0]))


def test_a_system_without_memory_limits_reads_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    unpickler._limit_memory(1)


def test_the_child_process_imports_the_standard_library_alone() -> None:
    code = (
        "import runpy, sys; sys.argv.append('9');"
        f"runpy.run_path({unpickler.__file__!r}, run_name='__main__');"
        "assert not {'numpy', 'torch', 'avt_memocmt'} & set(sys.modules)"
    )
    command = [sys.executable, "-I", "-c", code]
    subprocess.run(command, input=pickle.dumps([1]), check=True, capture_output=True, timeout=60)


HUGE = struct.pack("<Q", 1 << 40)


@pytest.mark.parametrize(
    "data",
    [
        b"\x8e" + HUGE + b"abc.",  # BINBYTES8
        b"\x96" + HUGE + b"abc.",  # BYTEARRAY8
        b"\x8d" + HUGE + b"abc.",  # BINUNICODE8
        b"B\xff\xff\xff\x7fabc.",  # BINBYTES
        b"\x95" + HUGE + b"N.",  # FRAME, whose length nobody needs
        b"Nr\xff\xff\xff\xff.",  # LONG_BINPUT
        b"N" + b"\x94" * 400_000 + b".",  # MEMOIZE
        fetch("builtins", "bytearray") + b"\x8a\x06" + b"\0" * 5 + b"\x01\x85R.",
        fetch("_codecs", "encode") + text("a") + text("zlib") + b"\x86R.",
    ],
)
def test_a_length_reserves_no_memory(tmp_path: Path, data: bytes) -> None:
    tracemalloc.start()
    with contextlib.suppress(AvtError):
        load(tmp_path, b"\x80\x04" + data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_list_in_itself_is_only_data(tmp_path: Path) -> None:
    found = load(tmp_path, b"\x80\x04]\x94h\x00a.")
    assert found[0] is found


def test_a_tensor_stays_within_its_storage(tmp_path: Path) -> None:
    data = pickle.dumps(torch.zeros(6), protocol=2)
    size = b"K\x06\x85"
    assert data.count(size) == 1
    with pytest.raises(AvtError, match="a torch tensor of 7 values in 6"):
        load(tmp_path, data.replace(size, b"K\x07\x85"))


def test_a_storage_may_not_hold_other_objects(tmp_path: Path) -> None:
    inner = pickle.dumps(Harm(os.system, "echo harm"), protocol=2)
    data = fetch("torch.storage", "_load_from_bytes") + b"B" + struct.pack("<I", len(inner)) + inner
    with pytest.raises(AvtError, match=r"refused|damaged"):
        load(tmp_path, b"\x80\x04" + data + b"\x85R.")


def test_every_truncation_is_one_sentence(tmp_path: Path) -> None:
    data = pickle.dumps(({0: [np.zeros(3, np.float32)]}, ["text"]), protocol=4)
    for length in range(len(data)):
        # What the child process does, and would tell of; a process for each takes longer.
        with pytest.raises((EOFError, pickle.UnpicklingError, unpickler.RefusedError)):
            unpickler.RestrictedUnpickler(io.BytesIO(data[:length]), encoding="latin1").load()
    for length in range(0, len(data), 10):
        with pytest.raises(AvtError, match=r"damaged|refused"):
            load(tmp_path, data[:length])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="cannot read"):
        load_pickle(tmp_path / "absent.pkl")
