"""Ways to run untrusted programs, each behind one interface, for the benchmark of the executor.

``host.py`` is started by path, once for each peer and number of workers. It loads nothing but the
standard library and the peer, since several peers fork it for every program.
"""
