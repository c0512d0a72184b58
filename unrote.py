"""`python -m unrote` is the `unrote` command."""

from pipelines.cli import main

if __name__ == "__main__":
    main()
