"""One clip to one row: times, caps, preprocessing options, absent modalities; plan, manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from footage import Spoken
from manifest_factory import write_manifest
from media_factory import picture, speech_like, tone, write_media, write_wav
from PIL import Image
from tiny_encoders import save_tiny_encoders

from avt_memocmt import EmotionRecognizer
from avt_memocmt.commands.settings import resolve_config
from avt_memocmt.config import Config, TokenShape
from avt_memocmt.config_file import load_config
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore
from avt_memocmt.data.index import UNLABELLED, UtteranceKey, UtteranceRecord, write_index
from avt_memocmt.errors import AvtError
from avt_memocmt.extraction.clip import (
    ClipSpec,
    default_checkpoint,
    extract_clip,
    store_manifest,
)
from avt_memocmt.extraction.plan import SHARD_SIZE, ExtractionPlan, read_source
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.text_encoder import ContextTurn
from avt_memocmt.pretrained import CHECKPOINTS

PAPER = Path(__file__).parents[2] / "config.yaml"
EMBEDDED = CHECKPOINTS / "embedded"
SILENCE = np.zeros(16_000, np.float32)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_encoders(tmp_path_factory.mktemp("encoders"))


@pytest.fixture(scope="module")
def film(talking_clip: Spoken) -> ClipSpec:
    path = str(talking_clip.path)
    return ClipSpec(UtteranceRecord("dev", 3, 1, "A", talking_clip.words, 0, path))


def embedded(*overrides: str) -> Config:
    return load_config(EMBEDDED / "config.yaml", overrides)


def paper(tiny: Path, *overrides: str) -> Config:
    return resolve_config(PAPER, None, tiny, list(overrides))


def clip(path: Path | None, text: str = "") -> ClipSpec:
    return ClipSpec(UtteranceRecord("dev", 0, 0, None, text, 0, path and str(path)))


def audio_of(row: FeatureRow) -> Tokens:
    return row.tokens["audio"]


def test_a_real_clip_gives_the_tokens_that_prediction_reads(
    film: ClipSpec, recognizer: EmotionRecognizer
) -> None:
    row = extract_clip(film, embedded(), EMBEDDED)
    assert (row.key, row.speaker, row.emotion) == (UtteranceKey("dev", 3, 1), "A", 0)
    assert row.duration == pytest.approx(2.98, abs=0.03)
    assert len(audio_of(row)) == -(-round(row.duration * 16_000) // 320)
    assert len(row.tokens["visual"]) == 12
    assert len(row.tokens["text"]) == 6
    assert row.tokens["text"].spans[-1, 1] == pytest.approx(row.duration)
    utterance = recognizer.read_whole(film.record.path or "")
    assert utterance.samples is not None
    (expected,) = recognizer.engine.encoders.audio.encode([utterance.samples])
    assert np.array_equal(audio_of(row).values, expected.values)


def test_what_is_decoded_of_a_long_clip_is_capped(film: ClipSpec) -> None:
    row = extract_clip(film, embedded("audio.max_seconds=1"), EMBEDDED)
    assert row.duration == 1.0
    assert "audio_cut" in row.warnings
    assert len(audio_of(row)) == 50
    assert row.tokens["visual"].spans[:, 0].max() <= 1.0


def test_a_window_of_a_recording_is_that_window(tiny: Path, tmp_path: Path) -> None:
    sound = np.concatenate([tone(1.01), speech_like(1.0), tone(1.0)])
    whole, part = (
        write_wav(tmp_path / "a.wav", sound),
        write_wav(tmp_path / "b.wav", sound[16160:32160]),
    )
    config = paper(tiny, "model.modalities=[audio]")
    window = replace(clip(whole).record, start=1.01, end=2.01)
    row = extract_clip(ClipSpec(window), config)
    assert row.duration == pytest.approx(1.0)
    assert np.array_equal(audio_of(row).values, audio_of(extract_clip(clip(part), config)).values)


def test_trimmed_sound_keeps_the_times_of_the_clip(tiny: Path, tmp_path: Path) -> None:
    word = speech_like(1.0)
    path = write_wav(tmp_path / "a.wav", np.concatenate([SILENCE, word, SILENCE]))
    alone = write_wav(tmp_path / "b.wav", word)
    plain = extract_clip(clip(path), paper(tiny))
    trimmed = extract_clip(clip(path), paper(tiny, "audio.trim_silence=true"))
    assert len(audio_of(plain)) == 149
    assert np.array_equal(
        audio_of(trimmed).values, audio_of(extract_clip(clip(alone), paper(tiny))).values
    )
    assert audio_of(trimmed).spans[0, 0] == 1.0
    assert audio_of(trimmed).spans[-1, 1] <= 2.0
    assert trimmed.duration == 3.0


def test_voice_activity_keeps_what_is_spoken_at_its_time(tiny: Path, tmp_path: Path) -> None:
    sound = np.concatenate([SILENCE, speech_like(1.0), SILENCE, SILENCE, speech_like(1.0), SILENCE])
    path = write_wav(tmp_path / "a.wav", sound)
    row = extract_clip(clip(path), paper(tiny, "audio.voice_activity=true"))
    middles = audio_of(row).spans.mean(axis=1)
    first, second = middles[middles < 3.0], middles[middles >= 3.0]
    assert 0.75 < first.min() < 1.1
    assert 1.9 < first.max() < 2.35
    assert 3.75 < second.min() < 4.1
    assert 4.9 < second.max() < 5.35
    assert row.warnings == ("no_video",)


def test_without_any_speech_the_whole_clip_is_encoded_and_said_so(
    tiny: Path, tmp_path: Path
) -> None:
    path = write_wav(tmp_path / "a.wav", tone(1.0, 3000.0, level=0.01))
    row = extract_clip(clip(path), paper(tiny, "audio.voice_activity=true"))
    plain = extract_clip(clip(path), paper(tiny))
    assert "no_speech" in row.warnings
    assert np.array_equal(audio_of(row).values, audio_of(plain).values)


def test_aligned_words_lie_where_they_are_said(film: ClipSpec) -> None:
    config = embedded("text.align_words=true", "model.modalities=[audio, text]")
    row = extract_clip(film, config, EMBEDDED)
    spans = row.tokens["text"].spans
    assert "transcript_mismatch" not in row.warnings
    assert np.all(spans[1:, 0] >= spans[:-1, 1] - 1e-3)
    lengths = spans[:, 1] - spans[:, 0]
    assert lengths.max() > 1.2 * lengths.min()
    loud = audio_of(row).spans
    assert loud[0, 0] <= spans[0, 0] < spans[-1, 1] <= loud[-1, 1]


def test_words_that_are_not_said_divide_the_clip_evenly_with_a_warning(film: ClipSpec) -> None:
    text = "Nobody ever told my grandmother about those horrible vegetable smoothies, right?" * 4
    other = replace(film, record=replace(film.record, text=text))
    config = embedded("text.align_words=true", "model.modalities=[audio, text]")
    row = extract_clip(other, config, EMBEDDED)
    assert "transcript_mismatch" in row.warnings
    lengths = np.diff(row.tokens["text"].spans)
    assert lengths == pytest.approx(row.duration / len(lengths), abs=1e-4)


def test_text_without_media_is_encoded_with_its_context(tiny: Path) -> None:
    config = paper(tiny, "text.context_turns=2", "text.context_tokens=16")
    alone = extract_clip(clip(None, "oh my god"), config)
    after = replace(clip(None, "oh my god"), context=(ContextTurn("no you", True),))
    assert set(alone.tokens) == {"text"}
    assert alone.duration == pytest.approx(0.99)
    assert alone.tokens["text"].values.shape == (3, 16)
    assert not np.allclose(
        alone.tokens["text"].values, extract_clip(after, config).tokens["text"].values
    )


def test_silence_is_an_absent_modality_but_nothing_at_all_is_a_failure(
    tiny: Path, tmp_path: Path
) -> None:
    path = write_wav(tmp_path / "a.wav", SILENCE)
    row = extract_clip(clip(path, "oh no"), paper(tiny))
    assert set(row.tokens) == {"text"}
    assert "silent_audio" in row.warnings
    with pytest.raises(AvtError, match=r"a\.wav holds nothing to encode"):
        extract_clip(clip(path), paper(tiny))
    with pytest.raises(AvtError, match="dev dia0_utt0 holds nothing to encode"):
        extract_clip(clip(None), paper(tiny))


def test_only_the_modalities_asked_for_are_extracted(film: ClipSpec, tmp_path: Path) -> None:
    for name in ("audio", "visual", "text"):
        row = extract_clip(film, embedded(f"model.modalities=[{name}]"), EMBEDDED)
        assert list(row.tokens) == [name]
        assert row.duration == pytest.approx(2.98, abs=0.03)


def test_a_silent_video_and_a_still_have_no_sound_to_extract(tiny: Path, tmp_path: Path) -> None:
    silent = write_media(tmp_path / "a.mp4", picture_times=[i / 10 for i in range(20)])
    still = tmp_path / "b.png"
    Image.fromarray(picture(320, 240, 90)).save(still)
    config = paper(tiny, "model.modalities=[audio, text]")
    for path in (silent, still):
        assert set(extract_clip(clip(path, "oh no"), config).tokens) == {"text"}


def test_values_too_large_for_float16_are_refused_before_they_are_stored(
    tiny: Path, tmp_path: Path
) -> None:
    store = FeatureStore.create(tmp_path / "store", store_manifest(paper(tiny)))
    row = extract_clip(clip(None, "oh no"), paper(tiny))
    row.tokens["text"].values[0, 0] = 1e5
    with pytest.raises(AvtError, match="dev dia0_utt0: its text tokens hold values that are not"):
        store.write_shard(0, [row])


def test_the_manifest_says_what_shaped_the_tokens_and_nothing_else(tiny: Path) -> None:
    text = store_manifest(paper(tiny, "model.modalities=[text]"))
    assert list(text.modalities) == ["text"]
    assert text == store_manifest(
        paper(tiny, "model.modalities=[text]", "visual.detector=yunet", "model.dim=64")
    )
    full = store_manifest(paper(tiny, "model.modalities=[text, audio, visual]"))
    assert list(full.modalities) == ["audio", "visual", "text"]
    assert full.modalities["audio"] == TokenShape(dim=16)
    assert full.extractor["audio"]["rate"] == 50.0
    assert full.preprocessing["visual"]["detector"] == "mtcnn"
    tuned = store_manifest(embedded(), EMBEDDED).extractor["text"]
    assert tuned["tuned_sha256"] != tuned["sha256"]


def test_imported_measurements_cannot_be_extracted(tiny: Path) -> None:
    config = paper(tiny).model_copy(
        update={"features": {"audio": TokenShape(dim=1, names=("pitch",))}}
    )
    with pytest.raises(AvtError, match="leave audio out with --modalities"):
        store_manifest(config)


def test_the_shipped_checkpoint_serves_those_who_need_it(tiny: Path) -> None:
    assert default_checkpoint(embedded()) == EMBEDDED
    assert default_checkpoint(paper(tiny)) is None


def test_a_manifest_becomes_numbered_dialogues_with_context(tmp_path: Path) -> None:
    path = write_manifest(
        tmp_path, ",Third,joy,x,10,Bob,,", ",Alone,joy,,,,,", "a.wav,First,anger,x,2,Ann,1.5,3"
    )
    records = read_source(path)
    assert [(r.split, r.dialogue_id, r.utterance_id, r.text) for r in records] == [
        ("manifest", 0, 0, "First"),
        ("manifest", 0, 1, "Third"),
        ("manifest", 1, 0, "Alone"),
    ]
    assert (records[0].path, records[0].start, records[0].end) == (str(tmp_path / "a.wav"), 1.5, 3)
    clips = ExtractionPlan.of(records).clips
    assert [c.context for c in clips] == [(), (ContextTurn("First", False),), ()]


def test_a_folder_becomes_single_turns_in_the_order_of_its_paths(tmp_path: Path) -> None:
    for name in ("b.wav", "a.wav"):
        write_wav(tmp_path / name, tone(0.1))
    (tmp_path / "notes.txt").write_text("not media")
    records = read_source(tmp_path)
    assert [(r.split, r.dialogue_id, Path(r.path or "").name) for r in records] == [
        ("folder", 0, "a.wav"),
        ("folder", 1, "b.wav"),
    ]
    assert {r.emotion for r in records} == {UNLABELLED}


def test_an_index_is_cut_into_shards_in_its_own_order(tmp_path: Path) -> None:
    records = [
        UtteranceRecord(split, n // 10, 9 - n % 10, "AB"[n % 2], f"line {n}", 0)
        for split in ("train", "dev")
        for n in range(100)
    ]
    write_index(records, tmp_path / "index.parquet")
    plan = ExtractionPlan.of(read_source(tmp_path / "index.parquet"))
    assert [len(shard) for shard in plan.shards] == [SHARD_SIZE] * 3 + [200 - 3 * SHARD_SIZE]
    assert [c.record for c in plan.clips] == records
    # Utterance 7 of the first dialogue is its third row; 0 to 6 come later in the file.
    assert [turn.text for turn in plan.clips[2].context] == [f"line {n}" for n in range(9, 2, -1)]
    assert plan.clips[2].context[-1].same_speaker is False
    assert len(ExtractionPlan.of(read_source(tmp_path / "index.parquet", "dev")).clips) == 100
    moved = [replace(records[0], path="/elsewhere.mp4"), *records[1:]]
    assert ExtractionPlan.of(moved).fingerprint() != plan.fingerprint()
    assert ExtractionPlan.of(list(records)).fingerprint() == plan.fingerprint()


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("none.txt", None, "none.txt is no index"),
        ("none.parquet", None, "cannot read the index"),
        ("index.parquet", "test", "no utterances of test; splits: dev"),
    ],
)
def test_a_wrong_source_is_named(
    tmp_path: Path, name: str, split: str | None, message: str
) -> None:
    write_index([UtteranceRecord("dev", 0, 0, None, "hi", 0)], tmp_path / "index.parquet")
    with pytest.raises(AvtError, match=message):
        read_source(tmp_path / name, split)


def test_an_utterance_that_is_there_twice_is_named() -> None:
    record = UtteranceRecord("dev", 4, 2, None, "hi", 0)
    with pytest.raises(AvtError, match="dev dia4_utt2 is there twice"):
        ExtractionPlan.of([record, record])
