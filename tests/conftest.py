"""Hypothesis profiles, chosen by the environment variable HYPOTHESIS_PROFILE; ``default`` where it is not set."""

import os

from hypothesis import HealthCheck, settings

# No deadlines: machines are shared, and the first call of a kernel compiles it.
settings.register_profile(
    "default",
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
