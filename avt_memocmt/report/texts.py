"""What the report says in fixed words: warnings, the reading of the figure, and the limits."""

from __future__ import annotations

WARNINGS: dict[str, str] = {
    "no_face": "No face was found in the pictures of this stretch, so only sound and words count.",
    "no_speech": "Nobody was heard speaking here; noise or music may have been judged instead.",
    "too_short": "The utterance is shorter than a quarter of a second, too little to judge well.",
    "silent_audio": "The sound track is there but silent, so it was left out.",
    "transcript_mismatch": "The given words do not seem to be what is said; check that the "
    "transcript belongs to this recording.",
    "image_used_as_face": "No face was found in this small picture, so the whole picture was taken "
    "as an already cut-out face.",
    "no_audio": "The file has no sound that can be decoded; faces and given words alone count.",
    "no_video": "The file has no pictures that can be decoded; sound and words alone count.",
    "corrupt_audio": "Parts of the sound track are damaged and were skipped.",
    "corrupt_frames": "Some pictures are damaged and were skipped.",
    "truncated": "The file ends before its header says it should; the rest is missing.",
    "audio_cut": "The utterance is long; sound beyond the model's limit was left out.",
}
"""What each warning means, by its name in `predictions.json`."""

LIMITS = (
    "These are guesses of a small model about how people sound, look and what they say, not "
    "measurements of what anybody feels. It learned voices from acted speech in studios, faces "
    "from small grey photographs labelled by crowds, words from the transcripts of one American "
    "sitcom, and how the three go together mostly from pairs put together by us rather than "
    "recorded together. Expect it to be worse on other languages, accents, cultures, ages, "
    "lighting and recording conditions. The confidence is the model's own, and it can be sure and "
    "wrong. Do not use it to decide anything about a person: not in hiring, schooling, policing, "
    "medicine or insurance."
)

FIGURE_CAPTION = (
    "Top: each utterance in the lane of its emotion, filled as high as its confidence, or "
    "unfilled where it is uncertain. Middle: how the model divides its belief. Bottom: how much "
    "sound, face and words counted."
)


LOGIT = (
    "A logit is the number that the network turns into the probability of an emotion: higher is "
    "likelier. Signed scores are shares of it: + speaks for the emotion, − against it."
)


METHODS: dict[str, str] = {
    "Leave one out": "What the logit loses when the network decides again without that modality. "
    "Of the three weights in the table this alone tells what the decision depends on.",
    "Attention rollout": "How much of what reaches the decision was read from each modality, with "
    "the attention of all layers multiplied out (Abnar and Zuidema 2020), then pooling and gate. "
    "Attention says where the network looked, not what decided.",
    "Gate": "The weight in the table of all utterances: the share that the network itself gives "
    "each modality's summary after they have read one another.",
    "Integrated Gradients": "The change of the logit from a baseline to what was there, divided "
    "among words or stretches of sound (Sundararajan et al. 2017). The scores should sum to that "
    "change; the error beside it is by how much they do not. The baseline is an empty input, not "
    "an absent one, so the sum may differ from the effect of leaving the modality out, even in "
    "sign.",
    "Grad-CAM": "Where on the aligned faces the last maps of the picture encoder raise the logit "
    "(Selvaraju et al. 2017). It shows only what speaks for the emotion, and coarsely: a few "
    "cells a side, not single features of a face.",
}
"""What each method does, by its name on the page."""


CHECKS: dict[str, str] = {
    "Deletion and insertion": "Parts are taken away, or put back, from the strongest down, and the "
    "probability is compared with that of random orders (Petsiuk et al. 2018). A gain above 0 "
    "beats chance; for one utterance the comparison is noisy.",
    "Shuffled weights": "How alike the explanation stays when the network's weights are shuffled "
    "(Adebayo et al. 2018): from −1 to 1, and near 0 is good, because an explanation of what was "
    "learned must then be another one.",
    "Small changes": "How alike the explanation stays under noise that is too small to matter: 1 "
    "is good.",
}
"""Likewise what each check does."""


FIGURES = {
    "composite": "Faces, sound and words on one time axis, each with what it says for the emotion, "
    "and how much each modality counted.",
    "attention": "Who read from whom: in each map the rows are tokens of one modality and the "
    "columns what they read from in another.",
    "strip": "How much each modality counted in the utterances that are explained.",
}
"""Captions of the figures."""


FRAMES = (
    "The pictures that were read, with {method} over the face at its place in the picture; the "
    "percentages are each face's share of what speaks for {emotion}."
)


FEWER_FRAMES = (
    " These are the {shown} largest of {read}; the files beside this page show the others too."
)


NOT_CHECKED = (
    "Whether these explanations tell what the network does was not checked for this file; "
    "--check does that. How such explanations fared over many recordings, and which of them do not "
    "beat chance, is in docs/explanations.md of AVT-MemoCMT."
)
