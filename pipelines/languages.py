"""The phase that tells languages and scripts."""

from unrote.corpus.languages import TellLanguages
from unrote.corpus.schema import DUPLICATES, LANGUAGES, SCRIPTS
from unrote.pipelines.engines.base import Flow
from unrote.pipelines.job import Phases
from unrote.pipelines.rejects import held_back


def languages(job: Phases) -> None:
    """The language of each document that deduplication leaves, and its letters by script."""
    flow = Flow()
    stage = TellLanguages(job.settings.input.normal_form)
    told = flow.map(stage, flow.read("text", drop=(DUPLICATES, *held_back(job.settings))))
    flow.write(LANGUAGES, told[LANGUAGES.name])
    flow.write(SCRIPTS, told[SCRIPTS.name])
    job.phase("languages", flow)
