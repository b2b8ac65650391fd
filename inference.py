"""The paper's command: python inference.py --video sample.mp4 (same as `avt-memocmt predict`)."""

import sys

from avt_memocmt.cli import main

if __name__ == "__main__":
    sys.argv[1:] = ["predict", *(a for a in sys.argv[1:] if a != "--video")]
    main()
