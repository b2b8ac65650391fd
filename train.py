"""The paper's command: python train.py (same as `avt-memocmt train`)."""

import sys

from avt_memocmt.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "train")
    main()
