"""Two test processes share two cores: one thread each is faster than two that wait for each other."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
