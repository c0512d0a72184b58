"""`python -m unrote` is the `unrote` command."""

from pipelines.cli import command

if __name__ == "__main__":
    command()
