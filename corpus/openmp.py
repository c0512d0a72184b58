"""How threads of OpenMP wait for each other; imported before torch is.

They spin by default. Where other processes want the same cores, as workers of Spark do, the thread
that is waited for has none, and a batch may take ten times as long.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
