"""The commands of ``code-envs``. They import what is heavy when they run, so that ``--help`` is quick."""
