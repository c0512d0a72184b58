"""The phase `summary`: published tables added up by stages; the report is drawn from the sums."""
