"""The gymnasium environments."""
