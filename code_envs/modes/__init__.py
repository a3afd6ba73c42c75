"""The four modes: one file for each."""
