"""The splits of CMU-MOSI and CMU-MOSEI, which their makers keep in a Python file of their SDK."""

from __future__ import annotations

import ast
from pathlib import Path

from avt_memocmt.data.index import SPLITS
from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.text_file import read_text_file

_MAX_BYTES = 10_000_000
_LISTS = dict(zip(SPLITS, (f"standard_{n}_fold" for n in ("train", "valid", "test")), strict=True))


def read_folds(path: Path) -> dict[str, str]:
    """The split of each video of a `cmu_mosei_std_folds.py` or `cmu_mosi_std_folds.py`.

    The file is read, not run.

    Raises:
        AvtError: it is missing, or lacks one of the three lists.
    """
    if not path.is_file():
        raise AvtError(
            f"{path} is missing; put that file of the CMU-MultimodalSDK there, which says which "
            "video is in which split."
        )
    try:
        tree = ast.parse(read_text_file(path, "the list of splits", _MAX_BYTES))
        assigned = {
            target.id: ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id in _LISTS.values()
        }
        return {str(v): split for split, name in _LISTS.items() for v in assigned[name]}
    except (SyntaxError, ValueError, KeyError, TypeError) as error:
        raise AvtError(
            f"{path} does not hold the lists {', '.join(_LISTS.values())}; give the file of the "
            "CMU-MultimodalSDK as it is."
        ) from error
