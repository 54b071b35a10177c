"""The brain: networks, learners, the training job, and policies as files.

>>> from policies import Policy
>>> policy = Policy.load("run")                                    # doctest: +SKIP
>>> action, state = policy.act(observation)                        # doctest: +SKIP
"""

import rodent  # noqa: F401  (first: it sets OpenMP's wait policy, which is read when torch is imported)
from policies.policy import Policy

__all__ = ["Policy"]
