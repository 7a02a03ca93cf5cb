"""Profiles of Hypothesis: "suite", which the whole suite runs in, and "long", which looks thirty times as far.

``python -m pytest tests/adversarial --hypothesis-profile=long``. How many examples a test takes is a share of those of
the profile (``fuzzed_inputs.tried``), so that both keep the proportions.
"""

from hypothesis import HealthCheck, settings

# Machines that run tests are busy, and a deadline would say how busy. Failures are printed to be copied into a test.
_COMMON = settings(
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("suite", _COMMON, max_examples=100, derandomize=True)
settings.register_profile("long", _COMMON, max_examples=3000)
# An option given on the command line replaces it.
settings.load_profile("suite")
