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
