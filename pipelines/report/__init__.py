"""The report: a summary of the tables, one model of a run, several renderers."""
