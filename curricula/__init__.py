"""Curricula: which difficulty, which mode and which problem come next."""
