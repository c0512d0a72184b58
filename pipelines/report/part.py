"""What all parts of report.json are."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of a report: frozen, and with no field that is not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)
