"""The unrote command without its short cut for small corpora, the final selection (docs/adr/0002).

Near-duplicates then go through all their rounds, as they do in a large corpus until few documents
are left. The answer is the same.
"""

from unrote.pipelines import analysis
from unrote.pipelines.cli import command

if __name__ == "__main__":
    analysis.FINAL_DOCUMENTS = 0  # type: ignore[misc]
    command()
