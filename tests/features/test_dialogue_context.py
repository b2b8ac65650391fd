"""The context of a turn: the same for a dialogue at hand and for one that is still going on."""

from __future__ import annotations

import pytest

from avt_memocmt.features.text_encoder import ContextTurn, DialogueContext, contexts

TURNS = [("Ann", "Hi."), ("Bob", ""), (None, "Hm."), ("Bob", "What?"), ("Ann", "Oh.")]


def test_context_is_the_earlier_words_and_whether_the_same_person_said_them() -> None:
    hi, hm = ContextTurn("Hi.", False), ContextTurn("Hm.", None)
    assert contexts(TURNS) == [
        (),
        (hi,),
        (ContextTurn("Hi.", None),),
        (hi, hm),
        (ContextTurn("Hi.", True), hm, ContextTurn("What?", False)),
    ]


@pytest.mark.parametrize("most", [None, 0, 1, 2])
def test_a_stream_has_the_contexts_of_the_whole_dialogue(most: int | None) -> None:
    past = DialogueContext(most)
    streamed = []
    for speaker, text in TURNS:
        streamed.append(past.of_turn_by(speaker))
        past.add(speaker, text)
    assert all(len(context) <= (len(TURNS) if most is None else most) for context in streamed)
    complete = contexts(TURNS)
    kept = [c if most is None else c[len(c) - min(len(c), most) :] for c in complete]
    assert streamed == kept
