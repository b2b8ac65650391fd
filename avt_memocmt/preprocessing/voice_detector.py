"""Whether there is a voice in a sound: Silero VAD, a network that knows voices.

WebRTC VAD, which cuts the utterances, takes any sound that changes for speech: noise, music, hum.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.onnx_session import small_session
from avt_memocmt.pretrained import packaged_path

FRAME = 512
"""Samples of one probability (32 ms), as the network was trained."""
_BEFORE = 64
"""Samples before each frame that the network sees too."""
_STATE = (1, 1, 128)
"""Shape of the network's memory."""
_SECOND = SAMPLE_RATE // FRAME
"""Frames of about one second."""

# Chosen on 855 clips of speech in five languages, acted and real, of which 0.5 % are lost, and on
# 380 made noises and pieces of music on sampled instruments; of 270 others 2 % pass.
_LIKELY, _SHARE = 0.14, 0.1
"""A sound has a voice if this is the probability in at least this share of it."""
_CLEAR = 0.3
"""It also has one if this is the mean probability over a second: one word in long noise."""

_LEVEL, _FAINTEST = 0.9, 1e-4
"""Level to which all but the loudest thousandth of a sound is brought, since a faint voice is not
recognised, and the least level that counts as sound."""


class VoiceDetector:
    """Silero VAD in ONNX Runtime; may be called from several threads.

    Raises:
        AvtError: the packaged weights are missing or altered.
    """

    def __init__(self) -> None:
        self._network = small_session(packaged_path("silero-vad").read_bytes())

    def probabilities(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """How likely a voice is in each frame of `FRAME` samples, [frames].

        Args:
            samples: float32 [n], mono, 16 kHz, at any level.
        """
        return np.concatenate([np.zeros(0, np.float32), *self._seconds(samples)])

    def has_voice(self, samples: NDArray[np.float32]) -> bool:
        """Whether there is a voice; listens no further than to the first clear second of one.

        Args:
            samples: as of `probabilities`.
        """
        heard = np.zeros(0, np.float32)
        for second in self._seconds(samples):
            heard = np.concatenate([heard, second])
            if np.convolve(heard, np.ones(_SECOND)).max() >= _CLEAR * _SECOND:
                return True
        return bool(len(heard)) and float(np.quantile(heard, 1 - _SHARE)) >= _LIKELY

    def _seconds(self, samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """The probabilities, about a second at a time."""
        frames = _frames(samples)
        hidden, cell = np.zeros(_STATE, np.float32), np.zeros(_STATE, np.float32)
        for first in range(0, len(frames), _SECOND):
            feed = {"input": frames[first : first + _SECOND], "h": hidden, "c": cell}
            found, hidden, cell = self._network.run(None, feed)
            yield found.reshape(-1)


def _frames(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """[frames, _BEFORE + FRAME] of a sound brought to `_LEVEL` and followed by silence."""
    if not len(samples):
        return np.zeros((0, _BEFORE + FRAME), np.float32)
    level = max(float(np.quantile(np.abs(samples), 0.999)), _FAINTEST)
    loud = np.clip(samples * (_LEVEL / level), -1.0, 1.0).astype(np.float32)
    padded = np.pad(loud, (_BEFORE, -len(loud) % FRAME))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _BEFORE + FRAME)[::FRAME]
    return np.ascontiguousarray(windows)
