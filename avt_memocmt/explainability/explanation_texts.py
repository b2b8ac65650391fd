"""What the explanation page says in fixed words: how it is read, and what each method means."""

from __future__ import annotations

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
