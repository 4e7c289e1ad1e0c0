"""`python -m opstore`: the command line."""

from opstore.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
