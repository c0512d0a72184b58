"""An index that runs add to (dedup.index): which files count, and who may say so.

    head         which files count, as one small file that a run reads and replaces
    opening      an index, for one run or command at a time
    added        what a run adds
    maintenance  info, verify, compact, forget

An index is a folder or fsspec URL: `heads/NUMBER.json`, of which the last one counts, `files/`,
which heads speak of, and `.run/`, which keeps others out. A file is there before a head speaks of
it and is removed after none does, so that an index is never half written.
"""
