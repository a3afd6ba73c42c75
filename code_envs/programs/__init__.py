"""Tools over program text: inputs by type, mutants, source checks."""
