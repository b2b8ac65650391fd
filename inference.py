"""The paper's command: python inference.py --video sample.mp4 (same as `avt-memocmt predict`)."""

import sys

from avt_memocmt.cli import main

if __name__ == "__main__":
    given = (argument.removeprefix("--video=") for argument in sys.argv[1:])
    sys.argv[1:] = ["predict", *(argument for argument in given if argument != "--video")]
    main()
