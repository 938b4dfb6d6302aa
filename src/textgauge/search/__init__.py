"""Which settings are tried, in which order, and for how long."""
