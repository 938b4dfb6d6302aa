"""Writes runs to MLflow stores: what was set, measured and made, and where to look at it."""
