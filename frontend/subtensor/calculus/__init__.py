"""Derivatives: ``grad``, forward mode, Jacobians and products with them."""
