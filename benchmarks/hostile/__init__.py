"""Hostile input: files of all formats and of all that unrote itself reads, damaged on purpose."""
