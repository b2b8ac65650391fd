"""Predictions to export: of real footage, and made ones that are as hostile as they can be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conversation_factory import conversation, seen, spoken
from footage import Spoken
from media_factory import write_media
from scene_factory import RATE, at_rest, beside, pictures_of

from avt_memocmt import EmotionRecognizer
from avt_memocmt.inference.results import MediaPrediction, Speaker
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.audio_preprocess import load_audio

HOSTILE = (
    "tab\tnewline\nreturn\r\nblank\n\nline",
    "00:00:01,000 --> 00:00:02,000",
    "<v Mallory><i>tags</i> &amp; &lt;b> <script>",
    'quotes "double" and ""more"", \'single\'; back\\slash \\N \\h {\\an8}',
    "bell\x07 escape\x1b[31m null\x00 delete\x7f c1\x9b31m feed\x0c separator\x1e end\uffff",
    "right to left: \u05e9\u05dc\u05d5\u05dd \u202e reversed \u2066 isolate",
    "lines\u2028paragraphs\u2029next\x85line, lone \ud83d surrogate",
    "\U0001f600 emoji, \u65e5\u672c\u8a9e, e\u0301 combining",
    "=HYPERLINK(1), -1+2, @SUM, #hash",
    "",
)


@pytest.fixture(scope="session")
def hostile() -> MediaPrediction:
    """Names and words full of what formats part their fields by; overlaps; no length; doubt."""
    turns = [
        spoken(index, index + 1.5, f"S{index}", "joy", text=text)
        for index, text in enumerate(HOSTILE)
    ]
    turns += [
        spoken(3.0, 9.0, "S0", "anger", text="over one of their own and others"),
        spoken(4.0, 4.0, "S1", "fear", text="no length"),
        spoken(5.0, 6.0, None, "sadness", text="nobody", min_confidence=0.99),
        spoken(5.5, 6.5, None, "sadness", text="nobody, over nobody"),
        spoken(7.0, 8.0, "S0\n", "neutral", text="another id, in one line the same"),
        spoken(20.0, 21.25, "gone", "disgust", text="not among the speakers, after the end"),
    ]
    speakers = [Speaker(f"S{n}", text or None, 1.5, None) for n, text in enumerate(HOSTILE)]
    long_name = "very long " * 500
    speakers[0] = replace(speakers[0], name=long_name + HOSTILE[0])
    known = conversation(*sorted(turns, key=lambda turn: turn.start), speakers=speakers)
    media = "/nowhere/" + "\u202eh\u00e9 <\"'&%#?*\n\x1b\x00" + "x" * 300 + ".mp4"
    return replace(known, media=media, sampled_faces=(), picture_size=None)


@pytest.fixture(scope="session")
def made(hostile: MediaPrediction) -> dict[str, MediaPrediction]:
    """Predictions by what is special about them."""
    nobody = spoken(0.5, 1.0, None, "joy")
    return {
        "hostile": hostile,
        "without utterances": conversation(),
        "of nobody known": conversation(nobody),
        "of a picture": replace(
            conversation(spoken(0.0, 0.0, None, "fear", face="F1", text=""), faces=[seen("F1")]),
            media="photo.jpg",
            duration=0.0,
        ),
    }


@pytest.fixture(scope="session")
def talk(
    recognizer: EmotionRecognizer,
    talking_clips: list[Spoken],
    tmp_path_factory: pytest.TempPathFactory,
) -> MediaPrediction:
    """The prediction of a film of 6 s in which two people side by side speak one after another."""
    first, second = talking_clips[:2]
    left, right = pictures_of(first.path), pictures_of(second.path)
    images = np.concatenate([beside(left, at_rest(right)), beside(at_rest(left), right)])
    sounds = [load_audio(clip.path) for clip in (first, second)]
    path: Path = write_media(
        tmp_path_factory.mktemp("talk") / "two people.mp4",
        picture_times=[index / RATE for index in range(len(images))],
        sound=np.concatenate(sounds),
        rate=SAMPLE_RATE,
        size=(images.shape[2], images.shape[1]),
        images=list(images),
        video_options={"crf": "18", "preset": "ultrafast"},
    )
    return recognizer.predict(
        path, speakers=2, transcribe=True, faces="all", sampled_faces="judged"
    )
