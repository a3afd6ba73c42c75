"""The layout of the two shared memory maps and of the control messages.

Standard library only: both the trusted client and the sandboxed interpreter use it. Everything in
the result map is a claim of the untrusted side.

Request map: ``REQUEST``, the program, the entry's name, then each call as a length and its bytes.
Result map: ``RESULT``, the captured output (``stdout_bytes`` long), then one record per call.
A script has no calls. Its command is followed by a message that carries its descriptors 0, 1 and 2.
"""

from __future__ import annotations

import struct

__all__ = [
    "CLAIMS",
    "COMMAND",
    "LENGTH",
    "MAP_BYTES",
    "MAX_CALLS",
    "MAX_MESSAGE",
    "MAX_NAME",
    "MAX_OUTPUT",
    "MAX_REQUEST",
    "RECORD",
    "REPLY",
    "REQUEST",
    "RESULT",
]

MAP_BYTES = 16 << 20  # of each map; sparse, so that only what is written costs memory
MAX_REQUEST = 8 << 20
MAX_OUTPUT = 8 << 20  # captured output and results together
MAX_CALLS = 4096
MAX_NAME, MAX_MESSAGE = 80, 300  # characters

# program, entry, calls, seed, recursion, stdout_bytes, result_bytes, coerce, script
REQUEST = struct.Struct("<IIIqIIIBB")
LENGTH = struct.Struct("<I")
RESULT = struct.Struct("<BBII")  # finished, one record stands for all calls, records, bytes captured
RECORD = struct.Struct("<BBHHI")  # claim, mutated, then the lengths of exception name, message and value
COMMAND = struct.Struct("<ddQQ")  # wall seconds, CPU seconds, memory bytes, largest file of a script or 0
# wait status, timed out, CPU seconds, wall seconds, peak memory in KiB on top of the zygote's own
REPLY = struct.Struct("<iBddQ")

# What a child can claim, by code: the values of ``Status`` that are not read from the kernel.
CLAIMS = ("ok", "raised", "memory", "recursion", "too_large", "exited")
