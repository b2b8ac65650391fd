"""The paper's command: python evaluate.py (same as `avt-memocmt evaluate`)."""

import sys

from avt_memocmt.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "evaluate")
    main()
