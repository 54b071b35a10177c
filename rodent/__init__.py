"""The virtual rodent: dm_control's rat in its worlds, stepped by the hundred, exact and seeded.

Importing it registers the Gymnasium environments (`rodent/Run-v0`).
"""

import os

# Threads of torch that spin while they wait steal the simulation's cores. Read by OpenMP when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from rodent.registration import register_environments

__version__ = "0.1.0"

register_environments()
