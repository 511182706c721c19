"""Curvature over subsets of rows, and what it is good for: Hessian-free and Gauss-Newton steps.

See ``docs/optimizers.md``.
"""

from subtensor.curvature.driver import Progress
from subtensor.curvature.gauss_newton import GaussNewton
from subtensor.curvature.hessian_free import HessianFree
from subtensor.curvature.space import RowSpace, row_space

__all__ = ["GaussNewton", "HessianFree", "Progress", "RowSpace", "row_space"]
