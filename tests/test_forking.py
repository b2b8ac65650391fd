"""What was loaded before a fork works in the child, or says at once why it cannot."""

from __future__ import annotations

import os
import pickle
import select
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from media_factory import speech_like, write_wav

from avt_memocmt import EmotionRecognizer
from avt_memocmt.engines.cuda import DeviceEngine
from avt_memocmt.errors import AvtError
from avt_memocmt.forking import PerProcess
from avt_memocmt.inference.recognizer import Recognizer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system never forks")
PATIENCE = 60  # seconds after which a child counts as one that waits for ever


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def in_child(work: Callable[[], object]) -> str:
    """What a forked process answers, as text."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = str(work())
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], PATIENCE)
    if not ready:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        return pipe.read().decode() if ready else "waits for ever"


def test_a_recogniser_that_has_predicted_predicts_in_a_forked_process(
    recognizer: EmotionRecognizer, tmp_path: Path, two_threads: None
) -> None:
    path = write_wav(tmp_path / "talk.wav", speech_like(1.5))

    def decisions() -> list[object]:
        found = [recognizer.predict(path), recognizer.predict(path, "I am so happy to see you.")]
        turns = [turn for one in found for turn in one.utterances]
        return [(turn.text, np.round(turn.probabilities, 3).tolist()) for turn in turns]

    here = decisions()
    torch.ones(3000, 3000).sum()  # all threads at work, whatever the recogniser needs
    assert in_child(decisions) == str(here)


def test_what_the_parent_made_is_not_destroyed_in_the_child() -> None:
    destroyed: list[int] = []

    class Held:
        def __del__(self) -> None:
            destroyed.append(os.getpid())

    held = PerProcess(Held)
    mine = id(held.get())

    def child() -> str:
        anew = id(held.get()) != mine and held.get() is held.get()
        return f"{anew} {destroyed}"

    assert in_child(child) == "True []"
    assert id(held.get()) == mine


def test_a_gpu_of_the_parent_is_refused_in_one_sentence(recognizer: EmotionRecognizer) -> None:
    engine = DeviceEngine(recognizer.engine.encoders, recognizer.engine.model, torch.device("cpu"))
    moved = Recognizer(engine, recognizer.config)
    moved.new_dialogue()
    assert in_child(moved.new_dialogue).startswith("AvtError: a forked process cannot use the GPU")


def test_a_recogniser_pickles_as_the_name_of_its_checkpoint(
    recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    stored = pickle.dumps(recognizer)
    assert len(stored) < 500
    assert pickle.loads(stored).predict((speech_like(1.0), 16_000)) == recognizer.predict(
        (speech_like(1.0), 16_000)
    )
    with pytest.raises(AvtError, match="from_pretrained"):
        pickle.dumps(EmotionRecognizer(recognizer.engine, recognizer.config))
