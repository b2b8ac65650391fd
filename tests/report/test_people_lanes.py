"""Who spoke, who was seen, and who followed whom, on the page of a prediction."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from conversation_factory import conversation, seen, shows, spoken
from page_reader import HOSTILE, Page

from avt_memocmt.emotions import COLOURS, EMOTIONS
from avt_memocmt.inference.results import MediaPrediction, Speaker
from avt_memocmt.report.people import MOST_LISTENERS, people
from avt_memocmt.report.prediction_page import write_report
from avt_memocmt.report.replies import MOST_SPEAKERS, Reply, replies

ANNA, BEN = Speaker("S1", "Anna", 4.0, "F1"), Speaker("S2", None, 2.0)


def talk() -> MediaPrediction:
    """Anna speaks for 4 s in joy and anger, Ben for 2 s in fear, somebody for 2 s in joy."""
    return conversation(
        spoken(0, 3, "S1", "joy", face="F1"),
        spoken(3, 5, "S2", "fear"),
        spoken(5, 6, "S1", "anger", face="F1"),
        spoken(8, 10, None, "joy"),
        speakers=(ANNA, BEN),
        faces=(seen("F1"),),
    )


def with_faces() -> MediaPrediction:
    """Anna speaks and then listens; a third person is only ever seen."""
    return conversation(
        spoken(0, 4, "S1", "joy", face="F1", faces=[shows("F1", "joy", speaks=True, seconds=3)]),
        spoken(4, 8, "S2", "fear", faces=[shows("F1", "anger"), shows("F2", "sadness")]),
        speakers=(ANNA, BEN),
        faces=(seen("F1"), seen("F2", 7.5, grey=60)),
    )


def written(folder: Path, *predictions: MediaPrediction) -> Page:
    path = folder / "report.html"
    write_report(predictions, [], path)
    return Page(path.read_text(encoding="utf-8"))


def lanes(page: Page) -> list[list[dict[str, str]]]:
    """The attributes of the bars of each lane."""
    found: list[list[dict[str, str]]] = []
    for tag, attrs in page.tags:
        if attrs.get("class") == "lane":
            found.append([])
        elif tag == "b" and "title" in attrs:
            found[-1].append(attrs)
    return found


def place(bar: dict[str, str]) -> tuple[float, float]:
    """Left edge and width of a bar, percent."""
    style = dict(part.split(":", 1) for part in bar["style"].split(";"))
    return float(style["left"].rstrip("%")), float(style["width"].rstrip("%"))


def test_each_speaker_has_a_lane_and_nobody_known_the_last(tmp_path: Path) -> None:
    page = written(tmp_path, talk())
    anna, ben, unknown = lanes(page)
    assert [place(bar) for bar in anna] == [(0, 30), (50, 10)]
    assert [place(bar) for bar in ben] == [(30, 20)]
    assert [place(bar) for bar in unknown] == [(80, 20)]
    assert [bar["title"] for bar in anna] == [
        "0.0 to 3.0, joy 70%",
        "5.0 to 6.0, anger 70%",
    ]
    assert COLOURS["fear"] in ben[0]["style"]
    for said in (
        "Anna50% of the talk, 4.0 sjoyanger joy 75%anger 25%",
        "S225% of the talk, 2.0 sfear fear 100%",
        "not known25% of the talk, 2.0 sjoy joy 100%",
    ):
        assert said.replace(" ", "") in page.text.replace(" ", "")


def test_the_summary_counts_the_speakers(tmp_path: Path) -> None:
    assert "4 utterances by 2 speakers. Most time: joy 62%" in written(tmp_path, talk()).text
    alone = conversation(spoken(0, 3, "S1", "joy"), speakers=[ANNA])
    assert "One utterance by one speaker: joy, confidence 70%." in written(tmp_path, alone).text


def test_without_speakers_nothing_is_said_of_people(tmp_path: Path) -> None:
    heard = [replace(u, speaker=None, face=None) for u in talk().utterances]
    page = written(tmp_path, conversation(*heard))
    assert lanes(page) == []
    assert "4 utterances. Most time" in page.text
    for absent in ("Who speaks", "follows", "not known", "Speaker", "speakers"):
        assert absent not in page.text
    assert {"image", "use", "ol"}.isdisjoint(tag for tag, _ in page.tags)
    (policy,) = [a["content"] for a in page.attributes("meta") if "http-equiv" in a]
    assert "img-src" not in policy


def test_names_of_captions_alone_stand_in_the_table(tmp_path: Path) -> None:
    heard = conversation(spoken(0, 3, "Monica", "joy"), spoken(3, 4, None, "joy"))
    page = written(tmp_path, heard)
    assert "0.0–3.0Monicasome words" in page.text
    assert "3.0–4.0some words" in page.text
    assert lanes(page) == []


def test_a_face_has_its_own_lane_also_while_others_speak(tmp_path: Path) -> None:
    page = written(tmp_path, with_faces())
    anna, face, ben, listener = lanes(page)
    assert [place(bar) for bar in anna] == [(0, 40)]
    assert [place(bar) for bar in face] == [(0, 40), (40, 40)]
    assert [bar.get("class") for bar in face] == ["speaks", None]
    assert face[1]["title"] == "4.0 to 8.0, anger 60%"
    assert [place(bar) for bar in ben] == [(40, 40)]
    assert [bar["title"] for bar in listener] == ["4.0 to 8.0, sadness 60%"]
    assert "joy 75%anger 25%" in page.text  # of the 3 and 1 seconds for which it was seen
    assert "F2seen for 7.5 s, not heard" in page.text


def test_faces_alone_have_lanes_also_of_a_still_image(tmp_path: Path) -> None:
    still = conversation(
        spoken(0, 0, None, "joy", face="F1", faces=[shows("F1", "joy"), shows("F2", "fear")]),
        faces=[seen("F1", 0), seen("F2", 0)],
        duration=0,
    )
    page = written(tmp_path, still)
    assert [place(bar) for lane in lanes(page) for bar in lane] == [(0, 100)] * 2
    assert "What each face shows" in page.text
    assert "Who speaks" not in page.text
    assert "seen for" not in page.text
    assert "follows" not in page.text


def test_of_many_listeners_those_seen_longest_have_lanes(tmp_path: Path) -> None:
    count = MOST_LISTENERS + 3
    crowd = [seen(f"F{n}", seconds=n) for n in range(1, count + 1)]
    shown = [shows(face.id, "joy") for face in crowd]
    film = conversation(spoken(0, 3, "S1", "joy", faces=shown), speakers=[BEN], faces=crowd)
    listeners = [somebody.name for somebody in people(film) if somebody.face]
    assert listeners == [f"F{n}" for n in range(4, count + 1)]
    assert "3 more faces, seen for less time, have no lane." in written(tmp_path, film).text


def test_the_face_that_counted_stands_in_the_table_and_is_in_the_page_once(tmp_path: Path) -> None:
    page = written(tmp_path, talk(), with_faces())
    uses = [attrs["href"] for attrs in page.attributes("use")]
    # A person with a lane, then the rows in which the face counted.
    assert uses == ["#face-1-1"] * 3 + ["#face-2-1", "#face-2-2", "#face-2-1"]
    pictures = {attrs["id"]: attrs["href"] for attrs in page.attributes("image")}
    assert set(pictures) == {use[1:] for use in uses}
    assert page.text.count("Face of Anna") == 3
    kind, data = pictures["face-2-2"].split(",")
    assert kind == "data:image/jpeg;base64"
    read = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert read.shape == (112, 112, 3)
    assert abs(int(read.mean()) - 60) <= 1
    (policy,) = [a["content"] for a in page.attributes("meta") if "http-equiv" in a]
    assert policy.endswith("; img-src data:")


def test_a_thumbnail_keeps_its_colours(tmp_path: Path) -> None:
    red = replace(seen("F1"), thumbnail=np.full((112, 112, 3), (200, 30, 30), np.uint8))
    page = written(tmp_path, replace(talk(), faces=(red,)))
    (image,) = page.attributes("image")
    data = np.frombuffer(base64.b64decode(image["href"].split(",")[1]), np.uint8)
    blue, _, most = cv2.imdecode(data, cv2.IMREAD_COLOR).mean(axis=(0, 1))
    assert most > 190
    assert blue < 40


def test_a_face_that_nothing_shows_is_not_in_the_page(tmp_path: Path) -> None:
    page = written(tmp_path, replace(talk(), faces=(seen("F1"), seen("F9"))))
    assert [attrs["id"] for attrs in page.attributes("image")] == ["face-1-1"]


def test_replies_are_counted_with_their_commonest_emotion(tmp_path: Path) -> None:
    turns = [
        ("S1", "joy"),
        ("S2", "anger"),  # S2 after S1
        ("S2", "joy"),  # goes on
        ("S1", "fear"),  # S1 after S2
        ("S2", "joy"),
        ("S1", "fear"),
        ("S2", "joy"),
        (None, "joy"),
        ("S1", "joy"),  # after nobody known
    ]
    heard = [spoken(i, i + 1, who, emotion) for i, (who, emotion) in enumerate(turns)]
    talked = conversation(*heard, speakers=(ANNA, BEN, Speaker("S3", "Cy", 0.5)))
    found = replies(talked)
    assert found is not None
    assert found.cells == {("S1", "S2"): Reply(3, "joy", 2), ("S2", "S1"): Reply(2, "fear", 2)}
    assert (found.speakers, found.left_out) == (("S1", "S2", "S3"), 0)
    text = written(tmp_path, talked).text
    assert "beforeAnnaS2Cy Anna–3 joy (2)0 S22 fear–0 Cy00–".replace(" ", "") in text.replace(
        " ", ""
    )


def test_nobody_follows_a_monologue(tmp_path: Path) -> None:
    monologue = conversation(*(spoken(i, i + 1, "S1", "joy") for i in range(3)), speakers=[ANNA])
    assert replies(monologue) is None
    assert "follows" not in written(tmp_path, monologue).text


def test_of_many_speakers_those_who_speak_most_are_set_against_one_another(tmp_path: Path) -> None:
    crowd = crowd_of(20)
    found = replies(crowd)
    assert found is not None
    assert found.speakers == tuple(f"S{n}" for n in range(20 - MOST_SPEAKERS, 20))
    assert found.left_out == 12
    assert set(found.cells) == {(f"S{n}", f"S{n + 1}") for n in range(20 - MOST_SPEAKERS, 19)}
    page = written(tmp_path, crowd)
    assert "These are the 8 who speak most; 12 speak less." in page.text
    assert len(lanes(page)) == 20


def crowd_of(count: int, names: Sequence[str | None] = ()) -> MediaPrediction:
    """Everybody speaks once, each a little longer than the one before."""
    given = [*names, *[None] * (count - len(names))]
    return conversation(
        *(spoken(2.0 * n, 2 * n + 1 + n / 50, f"S{n}", EMOTIONS[n % 7]) for n in range(count)),
        speakers=[Speaker(f"S{n}", given[n], 1 + n / 50) for n in range(count)],
        duration=2.0 * count,
    )


@pytest.mark.parametrize("name", [HOSTILE, "רחל כהן", "x" * 200, "Dr \u202eevil\u202c"])
def test_any_name_stays_a_name(tmp_path: Path, name: str) -> None:
    page = written(tmp_path, crowd_of(2, names=[name, name]))
    assert {"script", "img", "iframe", "link", "object"}.isdisjoint(tag for tag, _ in page.tags)
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)
    kept = name.replace("\x00", "\ufffd").replace("\udc80", "\ufffd")
    # Lane, row and column of replies, row of the table: each isolated from the text around it.
    # Twice each, and in the hover text of the timeline.
    assert len(page.attributes("bdi")) == 2 * 4
    assert page.text.count(kept) == 2 * 4 + 2
    cut = [attrs.get("title") for attrs in page.attributes("bdi")]
    assert cut == [kept if len(name) > 30 else None] * 8


def test_in_an_hour_bars_tell_emotions_by_their_height_and_stay_in_their_lanes(
    tmp_path: Path,
) -> None:
    heard = [spoken(4.0 * n, 4 * n + 0.1, f"S{n % 2 + 1}", EMOTIONS[n % 7]) for n in range(900)]
    page = written(tmp_path, conversation(*heard, speakers=(ANNA, BEN), duration=3596.1))
    bars = [bar for lane in lanes(page) for bar in lane]
    assert len(bars) == 900
    for bar in bars:
        left, width = place(bar)
        assert width >= 0.2
        assert left + width <= 100.01
        row = int(bar["style"].rpartition("--row:")[2])
        assert f", {EMOTIONS[row]} 70%" in bar["title"]
    assert "neutral on top, anger at the bottom" in page.text
    assert "--row" not in str(lanes(written(tmp_path, talk())))
    assert (tmp_path / "report.html").stat().st_size < 4_000_000


def test_an_uncertain_utterance_is_unfilled_in_its_lane(tmp_path: Path) -> None:
    doubted = spoken(0, 9, "S1", "joy", min_confidence=0.9)
    page = written(tmp_path, conversation(doubted, speakers=[ANNA]))
    ((bar,),) = lanes(page)
    assert bar["class"] == "uncertain"
    assert bar["title"] == "0.0 to 9.0, uncertain, joy 70%"
    assert "uncertain 100%" in page.text


def test_lanes_can_be_read_without_eyes(tmp_path: Path) -> None:
    page = written(tmp_path, talk(), with_faces())
    described = [attrs for _, attrs in page.tags if attrs.get("class") == "lane"]
    assert all(attrs["role"] == "img" for attrs in described)
    assert described[0]["aria-label"] == (
        "2 utterances: 0.0 to 3.0, joy 70%; the last: 5.0 to 6.0, anger 70%"
    )
    assert all(attrs.get("scope") in ("row", "col") for attrs in page.attributes("th"))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    named = {attrs["aria-labelledby"] for _, attrs in page.tags if "aria-labelledby" in attrs}
    assert {"people-1", "people-2"} <= named <= set(ids)


def test_pages_with_faces_need_nothing_from_outside(tmp_path: Path) -> None:
    page = written(tmp_path, with_faces())
    assert not any("src" in attrs for _, attrs in page.tags)
    targets = [attrs["href"] for _, attrs in page.tags if "href" in attrs]
    assert all(target.startswith(("#", "data:image/jpeg;base64,")) for target in targets)
    assert not re.search(r"url\(|@import", (tmp_path / "report.html").read_text())
