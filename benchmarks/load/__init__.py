"""Owns the load and the faults that a release must stand: ``python -m load`` in this folder runs all, or some parts."""

import os

# BLAS threads would fight over the cores that the workers have; numpy reads this when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
