"""An index of what earlier runs kept: later runs find their duplicates of it.

    layout   which files there are, and what is in them
    files    these files, written and read
    lookup   what an index knows of fingerprints, of LSH buckets, of document numbers
    stages   the same as stages of a run

An index numbers its documents in the order in which runs added them. In a run, document n of the
index has the key corpus.schema.INDEXED + n. It holds one document of each normalised text. Files
never change: a run, a compaction or a deletion writes new ones and then says that they count
(pipelines.index).
"""
