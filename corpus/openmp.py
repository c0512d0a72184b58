"""How threads of OpenMP wait for each other; imported before torch is.

They spin by default. Where other processes want the same cores, as workers of Spark do, the thread
that is waited for has none, and a batch may take ten times as long; in a container that sees more
cores than it may use, too. Waiting without spinning costs a tenth of the speed of a model where
nothing else runs (8.1 thousand tokens a second beside 9.0 and 9.2: 100 texts, one run each). Nobody
can tell beforehand which it will be, so that the tenth is given; OMP_WAIT_POLICY=active takes it
back.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
