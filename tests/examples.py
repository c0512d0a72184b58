"""How many examples hypothesis tries: what a test says, times what the profile says.

The profiles are registered in conftest.py and chosen by --hypothesis-profile: dev for quick
answers, ci (`make test`), nightly for as many as a night has time for. No example has a deadline:
on a busy machine, or where a kernel is compiled first, one takes as long as it takes.
"""

from hypothesis import settings

PROFILES = {"dev": 0.2, "ci": 1.0, "nightly": 20.0}
"""By profile, what numbers of examples are multiplied by."""

CI_EXAMPLES = 60
"""Of a test that says nothing."""


def register() -> None:
    for name, factor in PROFILES.items():
        settings.register_profile(name, deadline=None, max_examples=int(CI_EXAMPLES * factor))
    settings.load_profile("ci")


def examples(count: int, **more: object) -> settings:
    """Settings of a test that wants `count` examples in the profile ci."""
    factor = settings().max_examples / CI_EXAMPLES
    return settings(max_examples=max(10, int(count * factor)), **more)  # type: ignore[arg-type]
