"""Benchmarks of code-envs itself, started as scripts."""
