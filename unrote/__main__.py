"""`python -m unrote` is the `unrote` command."""

from unrote.pipelines.cli import command

if __name__ == "__main__":
    command()
