"""The diarisation error rate against cases reckoned by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from avt_memocmt.errors import AvtError

pytest.importorskip("pyannote.metrics", reason="install the extra 'speakers' to run this test")

from avt_memocmt.speakers.error_rate import Reference, error_rate, sum_of
from avt_memocmt.speakers.rttm import NamedTurn

ANNA_AND_BEN = [NamedTurn(0.0, 10.0, "anna"), NamedTurn(8.0, 12.0, "ben")]


def test_missed_false_and_confused_speech() -> None:
    # Anna is found from 0 to 7, Ben from 7 on and for 2 s too long: from 7 to 8 they are confused,
    # of the 2 s in which both speak one is missed, the last 2 s are a false alarm.
    found = [NamedTurn(0.0, 7.0, "x"), NamedTurn(7.0, 14.0, "y")]
    rate = error_rate(ANNA_AND_BEN, found, [(0.0, 20.0)], collar=0.0)
    assert (rate.total, rate.missed) == (pytest.approx(14.0), pytest.approx(2.0))
    assert (rate.false_alarm, rate.confusion) == (pytest.approx(2.0), pytest.approx(1.0))
    assert rate.rate == pytest.approx(5 / 14)


def test_a_collar_leaves_out_a_quarter_second_on_both_sides_of_a_border() -> None:
    reference = [NamedTurn(0.0, 10.0, "anna")]
    late = [NamedTurn(0.25, 10.25, "x")]
    rate = error_rate(reference, late, [(0.0, 20.0)], collar=0.25)
    assert rate.rate == pytest.approx(0.0)
    assert rate.total == pytest.approx(9.5)
    assert error_rate(reference, late, [(0.0, 20.0)], collar=0.0).rate == pytest.approx(0.05)


def test_names_do_not_matter_and_only_scored_stretches_count() -> None:
    swapped = [NamedTurn(t.start, t.end, "b" if t.speaker == "anna" else "a") for t in ANNA_AND_BEN]
    assert error_rate(ANNA_AND_BEN, swapped, [(0.0, 12.0)], collar=0.0).rate == 0.0
    half = error_rate(ANNA_AND_BEN, [], [(0.0, 5.0)], collar=0.0)
    assert (half.total, half.missed) == (pytest.approx(5.0), pytest.approx(5.0))


def test_several_recordings_are_weighed_by_their_speech() -> None:
    right = error_rate(ANNA_AND_BEN, ANNA_AND_BEN, [(0.0, 12.0)], collar=0.0)
    nothing = error_rate([NamedTurn(0.0, 7.0, "anna")], [], [(0.0, 7.0)], collar=0.0)
    assert sum_of([right, nothing]).rate == pytest.approx(7 / 21)


def test_a_recording_that_the_reference_lacks_is_named(tmp_path: Path) -> None:
    path = tmp_path / "truth.rttm"
    path.write_text("SPEAKER talk 1 0.0 1.0 <NA> <NA> anna <NA> <NA>\n", encoding="utf-8")
    with pytest.raises(AvtError, match='no recording "other"'):
        Reference(path, None).score("other", [])
