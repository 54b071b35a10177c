"""Which cases property tests draw: the same ones each time at the gate, new ones in `make test-slow`.

A gate that draws anew fails on changes that have no part in the fault. New cases that fail are mended on their own.
"""

from hypothesis import settings

settings.register_profile("gate", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None, print_blob=True)
settings.load_profile("gate")
