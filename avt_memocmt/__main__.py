"""`python -m avt_memocmt` is the command line, also under `accelerate launch -m`."""

from avt_memocmt.cli import main

if __name__ == "__main__":
    main()
