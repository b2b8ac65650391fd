"""The choice of the faces that are judged."""

from __future__ import annotations

from typing import Literal

WhichFaces = Literal["speaking", "largest", "all"]
"""The face whose mouth moves with the sound, the largest one, or the speaking one with an emotion
for each of the others beside it."""
