VERSION = "0.1.0"
"""The released version; settings, tables and the run folder follow it."""
