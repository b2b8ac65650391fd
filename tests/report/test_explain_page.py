"""The page and the numbers of explanations: what they say, and that all can read them offline."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import wave
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from media_factory import picture, tone
from page_reader import HOSTILE, Page, chances
from PIL import Image

from avt_memocmt.explainability.attention_visualization import Axis, DecisionAttention
from avt_memocmt.explainability.explanation import (
    Checks,
    MediaExplanation,
    UtteranceExplanation,
)
from avt_memocmt.explainability.faithfulness import SHARES, Curves
from avt_memocmt.explainability.integrated_gradients import Attribution
from avt_memocmt.inference.dialogue import PreparedTurn
from avt_memocmt.inference.results import (
    MediaPrediction,
    ModalityUse,
    SeenFace,
    Speaker,
    UtterancePrediction,
)
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.preprocessing.face_tracker import FaceObservation
from avt_memocmt.report.explanation_json import explanation_json
from avt_memocmt.report.explanation_page import (
    MOST_FRAMES,
    UtterancePictures,
    write_explanation_report,
)
from avt_memocmt.report.explanation_sentences import absent, summary

WORDS = ("so", "very", "happy")
SCORES = {
    "audio": np.array([[0.0, 0.1, -0.2], [0.0, 0.3, 0.1]]),
    "visual": np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 2.0], [1.0, 0.0]]]),
    "text": np.array([-0.25, 0.0, 0.5]),
}
EFFECTS = {"audio": -0.4, "visual": 0.001, "text": 1.25}


def explained(
    *present: str, index: int = 0, words: tuple[str, ...] = WORDS, **more: object
) -> UtteranceExplanation:
    """An utterance from 2 to 2.3 s that is judged as joy, with made-up numbers."""
    present = present or ("audio", "visual", "text")
    faces = tuple(
        FaceObservation(time, None, picture(8, 8, 90), 1, 0)
        for time in (2.0, 2.25)
        if "visual" in present
    )
    text = " ".join(words) if "text" in present else ""
    samples = tone(0.3) if "audio" in present else None
    utterance = Utterance(2.0, 2.3, samples, faces, text)
    uses = {m: ModalityUse(m in present, 0.5, chances("fear")) for m in SCORES}
    warnings = () if "visual" in present else ("no_face",)
    prediction = UtterancePrediction(2.0, 2.3, None, text, "given", chances("joy"), uses, warnings)
    axes = {
        m: Axis(("state", "x"), np.array([[np.nan, np.nan], [0, 0.3]]), np.array([0, 1]))
        for m in present
    }
    maps = {("text", "audio"): np.full((1, 2, 2, 2), 0.5)} if len(present) == 3 else {}
    attention = DecisionAttention(
        axes,
        maps,
        {pair: weights[0, 0] for pair, weights in maps.items()},
        np.tile([0.25, 0.75], (2, 2, 1)),
        dict.fromkeys(present, 1 / len(present)),
        dict.fromkeys(present, 1 / len(present)),
    )
    attributions = {
        m: Attribution("Grad-CAM", "none", SCORES[m])
        if m == "visual"
        else Attribution("Integrated Gradients", "silence", SCORES[m], 0.01, 0.24)
        for m in present
    }
    found = UtteranceExplanation(
        index,
        PreparedTurn(
            utterance, "given", (), {}, {}, 0, torch.zeros(0, 4), torch.zeros(0), warnings
        ),
        prediction,
        "joy",
        words if "text" in present else (),
        None,
        attention,
        {m: EFFECTS[m] for m in present},
        attributions,
    )
    return replace(found, **more)


def media(*found: UtteranceExplanation, count: int = 1, name: str = "a.mp4") -> MediaExplanation:
    """The explained utterances, of as many as `count`."""
    predictions = (found[0].prediction,) * count
    return MediaExplanation(MediaPrediction(name, 3.0, "embedded", "0.1.0", predictions), found)


def image(suffix: str) -> bytes:
    _, data = cv2.imencode(suffix, picture(200, 120, 60))
    return data.tobytes()


def written(tmp_path: Path, explanation: MediaExplanation) -> Page:
    path = tmp_path / "report.html"
    pictures = [
        UtterancePictures(
            image(".png"), image(".png"), (image(".jpg"),) * len(found.turn.utterance.faces)
        )
        for found in explanation.utterances
    ]
    write_explanation_report(explanation, pictures, image(".png"), path)
    return Page(path.read_text(encoding="utf-8"))


def test_the_summary_names_what_speaks_for_and_against() -> None:
    decision, modalities, words, sound, faces = summary(explained())
    assert decision.startswith("The network finds joy likeliest (70%), before ")
    assert modalities.startswith(
        "For it: the words (+1.2); against it: the sound (−0.40); "
        "hardly either way: the face (+0.0010)."
    )
    assert words == (
        "Of the words, “happy” (+0.50) speaks most for it and “so” (−0.25) speaks most against it."
    )
    assert sound == (
        "Of the sound, the stretch from 2.1 to 2.2 seconds speaks most for it (+0.40)."
    )
    assert "75% lies on the one at 2.25 seconds" in faces


def test_the_summary_says_where_a_modality_counts_against_its_own_opinion() -> None:
    found = explained()
    uses = {m: ModalityUse(True, 0.5, chances("joy")) for m in SCORES}
    agreeing = replace(found, prediction=replace(found.prediction, modalities=uses))
    assert summary(agreeing)[1].endswith(
        " Taken alone, the sound would mean joy (70%), and still counted against joy beside the "
        "rest."
    )
    assert summary(found)[1].endswith(
        " Taken alone, the words would mean fear (70%), and still counted for joy beside the rest."
    )


def test_of_many_faces_the_strongest_are_shown_in_order_of_time(tmp_path: Path) -> None:
    found = explained()
    count = MOST_FRAMES + 3
    seen = found.turn.utterance.faces[0]
    faces = tuple(replace(seen, time=2 + number / 10) for number in range(count))
    strengths = np.where(np.isin(np.arange(count), (0, 4, 9)), 0.0, 1.0)
    utterance = replace(found.turn.utterance, faces=faces)
    visual = replace(found.attributions["visual"], scores=strengths[:, None, None])
    many = replace(
        found,
        turn=replace(found.turn, utterance=utterance),
        attributions={**found.attributions, "visual": visual},
    )
    page = written(tmp_path, media(many))
    named = [attrs["alt"] for attrs in page.attributes("img") if "Face at" in attrs["alt"]]
    kept = [face.time for face, strength in zip(faces, strengths, strict=True) if strength]
    assert named == [f"Face at {time:.2f} s · 8%" for time in kept]
    assert f"the {MOST_FRAMES} largest of {count}" in page.text
    assert "largest of" not in written(tmp_path, media(found)).text


def test_the_summary_says_that_grad_cam_hides_a_face_that_counts_against() -> None:
    effects = {**EFFECTS, "visual": -0.3}
    assert summary(explained(leave_one_out=effects))[-1].endswith(
        " What speaks against it, as the face does on the whole, Grad-CAM does not show."
    )
    assert summary(explained())[-1].endswith(" seconds.")


def test_the_summary_of_an_emotion_that_was_asked_for_names_the_likeliest() -> None:
    first = summary(explained(emotion="anger"))[0]
    assert first == "Asked for was anger (5%); the network finds joy likeliest (70%)."


def test_the_summary_says_where_nothing_speaks_for_the_emotion() -> None:
    nothing = {m: Attribution("", "", -np.abs(scores)) for m, scores in SCORES.items()}
    nothing["visual"] = Attribution("", "", np.zeros((2, 2, 2)))
    words, sound, faces = summary(explained(attributions=nothing))[2:]
    assert words == "Of the words, “happy” (−0.50) speaks most against it."
    assert sound == "No stretch of the sound speaks for it."
    assert faces == "Nothing on the faces speaks for it."


def test_what_is_absent_is_named_and_explained_nowhere(tmp_path: Path) -> None:
    found = explained("audio")
    assert absent(found) == ["face", "words"]
    assert len(summary(found)) == 3
    page = written(tmp_path, media(found))
    assert "No face: nothing is attributed to it." in page.text
    assert "No words: nothing is attributed to it." in page.text
    assert "No audio" not in page.text
    assert not any(attrs.get("class") in ("words", "frames") for attrs in page.attributes("ol"))
    assert set(explanation_json(media(found))["utterances"][0]["attributions"]) == {"audio"}
    silent = written(tmp_path, media(explained("text")))
    assert silent.attributes("audio") == []


def test_words_carry_sign_and_number_beside_their_colour(tmp_path: Path) -> None:
    page = written(tmp_path, media(explained()))
    assert "so−0.25very+0.0happy+0.50" in page.text
    colours = [attrs["style"] for attrs in page.attributes("li") if "style" in attrs]
    against, neither, for_it = (
        [int(style.partition("#")[2][i : i + 2], 16) for i in (0, 2, 4)] for style in colours
    )
    assert against[2] > against[0]  # purple
    assert for_it[0] > for_it[2]  # orange
    assert min(neither) > 240


def test_the_sound_of_the_utterance_can_be_heard(tmp_path: Path) -> None:
    page = written(tmp_path, media(explained()))
    (player,) = page.attributes("audio")
    assert "controls" in player
    assert player["aria-label"] == "Sound of utterance 1"
    kind, data = player["src"].split(",")
    assert kind == "data:audio/wav;base64"
    with wave.open(io.BytesIO(base64.b64decode(data))) as file:
        assert (file.getnchannels(), file.getframerate()) == (1, 16_000)
        heard = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767
    assert heard == pytest.approx(tone(0.3), abs=1e-4)


def test_checks_are_shown_with_their_verdict(tmp_path: Path) -> None:
    def checks(deletion: float, insertion: float) -> Checks:
        flat = np.zeros(len(SHARES))
        found = Curves(flat, flat + insertion, flat + deletion, flat)
        return Checks(found, {"head": 0.9, "cross_modal": 0.1}, 0.8)

    found = explained(
        checks={"audio": checks(0.1, 0.2), "visual": checks(-0.1, 0.2), "text": checks(-1, -1)}
    )
    text = written(tmp_path, media(found)).text
    assert "audio+0.10+0.20better than chancehead" in text
    assert "face−0.10+0.20better than chance by insertion alonehead" in text
    assert "words−1.0−1.0no better than chancehead" in text
    assert "head +0.90, cross modal +0.10" in text
    assert "--check does that" not in text
    assert "How alike the explanation stays" in text
    unchecked = written(tmp_path, media(explained())).text
    assert "--check does that" in unchecked
    assert "How alike the explanation stays" not in unchecked
    (item,) = explanation_json(media(found))["utterances"]
    assert item["checks"]["visual"]["deletion_gain"] == pytest.approx(-0.1)
    assert item["checks"]["text"]["stability"] == 0.8


def test_attention_over_the_dialogue_names_the_utterances(tmp_path: Path) -> None:
    text = written(tmp_path, media(explained(index=4), count=6)).text
    assert "utterance 4 25%, utterance 5 75%" in text
    assert "Explained: 1 of 6. --utterances asks for others" in text


def test_the_json_holds_the_numbers_and_no_nan() -> None:
    content = explanation_json(media(explained(index=2)))
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    (item,) = content["utterances"]
    assert (item["number"], item["explained"], item["probability"]) == (3, "joy", 0.7)
    for m, scores in SCORES.items():
        assert np.array(item["attributions"][m]["scores"]) == pytest.approx(scores)
        assert item["modalities"][m]["leave_one_out"] == EFFECTS[m]
    assert item["attributions"]["text"]["completeness_error"] == 0.01
    assert item["attributions"]["visual"]["change"] is None
    assert item["attention"]["axes"]["audio"]["spans"] == [[None, None], [0, 0.3]]
    assert np.array(item["attention"]["maps"][0]["weights"]).shape == (1, 2, 2, 2)
    assert [face["time"] for face in item["faces"]] == [2.0, 2.25]


def test_the_page_loads_nothing_from_outside(tmp_path: Path) -> None:
    page = written(tmp_path, media(explained()))
    sources = [attrs["src"] for _, attrs in page.tags if "src" in attrs]
    assert len(sources) == 2 + 2 + 1 + 1  # faces, figures, strip, sound
    assert all(source.startswith("data:") for source in sources)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(set(ids)) == len(ids)
    assert all(attrs["href"][1:] in ids for attrs in page.attributes("a"))
    (policy,) = [a["content"] for a in page.attributes("meta") if "http-equiv" in a]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_the_page_can_be_read_without_eyes(tmp_path: Path) -> None:
    page = written(tmp_path, media(explained(), explained("audio", index=1), count=2))
    assert all(attrs["alt"] for attrs in page.attributes("img"))
    assert all(attrs["scope"] for attrs in page.attributes("th"))
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    labels = [attrs["aria-labelledby"] for _, attrs in page.tags if "aria-labelledby" in attrs]
    assert set(labels) <= ids
    assert {"utterance-1", "utterance-2"} <= set(labels)


def test_the_page_shows_who_speaks(tmp_path: Path) -> None:
    found = media(explained())
    prediction = found.prediction
    heard = replace(prediction.utterances[0], speaker="S1", face="F1")
    talk = replace(
        prediction,
        utterances=(heard,),
        speakers=(Speaker("S1", "Anna", 0.3, "F1"),),
        faces=(SeenFace("F1", 0.3, picture(112, 112, 90)),),
    )
    page = written(tmp_path, replace(found, prediction=talk))
    assert "One utterance by one speaker" in page.text
    assert "Anna100% of the talk, 0.3 s" in page.text
    assert [attrs["href"] for attrs in page.attributes("use")] == ["#face-1-1"] * 2
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3", "h4")]
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    found = explained(words=(HOSTILE, "fine", "too"))
    page = written(tmp_path, media(found, name=HOSTILE))
    assert {"script", "iframe", "link", "object"}.isdisjoint(tag for tag, _ in page.tags)
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)
    assert all(attrs["src"].startswith("data:") for attrs in page.attributes("img"))
    assert page.text.count("<script>alert('x')</script>") >= 4


def opened(page: Path, folder: Path) -> tuple[np.ndarray, list[str]]:
    """A screenshot of a page in a browser, and the addresses that the page asked for."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((found for name in names if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium is installed to open the page in")
    shot, log = folder / "shot.png", folder / "net.json"
    options = {
        "user-data-dir": folder / "profile",
        "screenshot": shot,
        "log-net-log": log,
        "window-size": "1000,1400",
        "host-resolver-rules": "MAP * ~NOTFOUND",  # nor does the browser itself reach anybody
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    subprocess.run([*command, *flags, page.as_uri()], check=True, capture_output=True, timeout=120)
    asked = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    # What the browser asks for of its own accord has no origin.
    addresses = [
        params["url"]
        for params in asked
        if params.get("initiator", "not an origin") != "not an origin"
        and not params["url"].startswith(("file:", "data:"))
    ]
    return np.asarray(Image.open(shot).convert("RGB")), addresses


def test_a_browser_shows_the_page_and_asks_nobody_for_anything(tmp_path: Path) -> None:
    written(tmp_path, media(explained()))
    shot, addresses = opened(tmp_path / "report.html", tmp_path)
    assert addresses == []
    ink = (shot.min(axis=2) < 128).mean(axis=1) > 0
    assert ink[:350].any()
    assert ink[700:].any()
    assert len(np.unique(shot.reshape(-1, 3), axis=0)) > 50
    curious = tmp_path / "curious.html"
    curious.write_text('<img src="http://elsewhere.invalid/x.png">', encoding="utf-8")
    (tmp_path / "other").mkdir()
    _, addresses = opened(curious, tmp_path / "other")
    assert "http://elsewhere.invalid/x.png" in addresses
