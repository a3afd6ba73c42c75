"""Code environments."""
