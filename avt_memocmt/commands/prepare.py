"""`avt-memocmt prepare`: a corpus into an index and a report of its faults."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from avt_memocmt.commands.console import counted_progress, log, output
from avt_memocmt.errors import AvtError
from avt_memocmt.files import writable_folder, write_atomically

if TYPE_CHECKING:
    from avt_memocmt.data.corpus_index import CorpusIndex


def prepare(
    meld: Annotated[
        Path | None, typer.Option(help="Folder of the MELD release, in any layout.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for index.parquet and faults.md; prepared/ and the corpus unless given."
        ),
    ] = None,
    iemocap: Annotated[
        Path | None, typer.Option(help="Folder of IEMOCAP, with Session1 to Session5.")
    ] = None,
    cmu_mosei: Annotated[
        Path | None,
        typer.Option(help="Folder of CMU-MOSEI, with Raw/ and cmu_mosei_std_folds.py."),
    ] = None,
    cmu_mosi: Annotated[
        Path | None, typer.Option(help="Folder of CMU-MOSI, with Raw/ and cmu_mosi_std_folds.py.")
    ] = None,
    m3ed: Annotated[
        Path | None, typer.Option(help="Folder of M3ED, with annotation.json and splitInfo/.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Of IEMOCAP: 4 of the seven emotions, or 6 of its own.")
    ] = None,
    test_session: Annotated[
        int | None,
        typer.Option(help="Of IEMOCAP: the session that is test; the next one is dev."),
    ] = None,
    film: Annotated[
        bool,
        typer.Option(
            "--film",
            help="Of IEMOCAP: the films, which show both talkers side by side, and not the sound "
            "of each sentence.",
        ),
    ] = False,
    drop_leaks: Annotated[
        bool, typer.Option("--drop-leaks", help="Leave out training turns of the other splits.")
    ] = False,
    prefer_final_videos: Annotated[
        bool,
        typer.Option("--prefer-final-videos", help="Use final_videos_test* for the plain clips."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that open clips; all cores by default.")
    ] = None,
) -> None:
    """Index a corpus: MELD, IEMOCAP, CMU-MOSEI, CMU-MOSI or M3ED.

    Repairs its transcripts and reports every fault of its clips; docs/corpora.md says what is read.
    """
    from avt_memocmt.data.corpus_index import fault_report
    from avt_memocmt.data.dialogue_corpora.cmu_mosei import index_cmu_mosei
    from avt_memocmt.data.dialogue_corpora.cmu_mosi import index_cmu_mosi
    from avt_memocmt.data.dialogue_corpora.iemocap import index_iemocap
    from avt_memocmt.data.dialogue_corpora.m3ed import index_m3ed
    from avt_memocmt.data.index import write_index
    from avt_memocmt.data.meld.index import index_meld

    corpora: dict[str, tuple[Path | None, Callable[..., CorpusIndex]]] = {
        "meld": (meld, partial(index_meld, prefer_final_videos=prefer_final_videos)),
        "iemocap": (iemocap, index_iemocap),
        "cmu-mosei": (cmu_mosei, index_cmu_mosei),
        "cmu-mosi": (cmu_mosi, index_cmu_mosi),
        "m3ed": (m3ed, index_m3ed),
    }
    given = [(name, folder, build) for name, (folder, build) in corpora.items() if folder]
    if len(given) != 1:
        raise AvtError(f"give one of {', '.join(f'--{name}' for name in corpora)}.")
    ((name, folder, build),) = given
    if iemocap is not None:
        build = partial(build, **_task(classes, test_session), film=film)
    elif classes is not None or test_session is not None or film:
        raise AvtError("--classes, --test-session and --film belong to --iemocap.")
    if meld is None and (drop_leaks or prefer_final_videos):
        raise AvtError("--drop-leaks and --prefer-final-videos belong to --meld.")
    out = out or Path("prepared") / name
    writable_folder(out)
    with counted_progress("checking clips") as show:
        index = build(folder, workers=workers or os.cpu_count() or 1, progress=show)
    if drop_leaks:
        index = index.without_leaks()
    write_index(index.records, out / "index.parquet", index.labels)
    report = fault_report(index, folder.absolute())
    write_atomically(out / "faults.md", report.encode(errors="replace"))
    _print_summary(index)
    log.print(f"wrote {out / 'index.parquet'} and {out / 'faults.md'}")


def _task(classes: int | None, test_session: int | None) -> dict[str, int | None]:
    """The arguments of `index_iemocap` that say what is told apart, and what is test.

    Raises:
        AvtError: one is missing, or is none that IEMOCAP has.
    """
    from avt_memocmt.data.dialogue_corpora.iemocap import SESSIONS

    if classes not in (4, 6):
        raise AvtError("--classes of IEMOCAP is 4 or 6.")
    if test_session not in SESSIONS:
        raise AvtError(
            f"--test-session of IEMOCAP is a number from {SESSIONS[0]} to {SESSIONS[-1]}."
        )
    return {"classes": classes, "test_session": test_session}


def _print_summary(index: CorpusIndex) -> None:
    from avt_memocmt.data.corpus_index import summarise

    splits, counts = summarise(index)
    table = Table("", box=None)
    for split in splits:
        table.add_column(split, justify="right")
    for name, numbers in counts.items():
        table.add_row(name, *map(str, numbers))
    output.print(table)
