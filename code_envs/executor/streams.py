"""The client's side of a script's standard streams: memory files that live for one run."""

from __future__ import annotations

import fcntl
import os
import socket
from array import array

__all__ = ["Streams"]

_F_ADD_SEALS, _SEAL_ALL, _SEAL_SEAL = 1033, 15, 1  # all: no seal can be added, no shrinking, growing or writing


class Streams:
    """Descriptors 0, 1 and 2 of one run.

    Args:
        stdin: What the script reads. Sealed: nobody can change it any more.

    Raises:
        OSError: The client is short of descriptors or memory.
    """

    def __init__(self, stdin: bytes) -> None:
        self._descriptors: list[int] = []
        try:
            for name in ("stdin", "stdout", "stderr"):
                self._descriptors.append(os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
            self.stdin, self.stdout, self.stderr = self._descriptors
            _write_all(self.stdin, stdin)
            fcntl.fcntl(self.stdin, _F_ADD_SEALS, _SEAL_ALL)
            for descriptor in (self.stdout, self.stderr):
                fcntl.fcntl(descriptor, _F_ADD_SEALS, _SEAL_SEAL)
        except BaseException:
            self.close()
            raise

    def send(self, control: socket.socket) -> None:
        """Hand copies of the descriptors, marked with the numbers they are to have, to the other process."""
        numbers = array("i", self._descriptors)
        control.sendmsg([b"D"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)])

    def read(self, stdout_bytes: int, stderr_bytes: int) -> tuple[bytes, bool, bytes]:
        """Read what the script wrote, after its end.

        Returns:
            Standard output up to a bound, whether there was more, and standard error up to a bound.
        """
        stdout = os.pread(self.stdout, stdout_bytes, 0)
        return stdout, os.fstat(self.stdout).st_size > stdout_bytes, os.pread(self.stderr, stderr_bytes, 0)

    def close(self) -> None:
        """Give everything back to the kernel; closing twice is fine."""
        while self._descriptors:
            os.close(self._descriptors.pop())


def _write_all(descriptor: int, data: bytes) -> None:
    at = 0
    while at < len(data):
        at += os.pwrite(descriptor, data[at : at + (1 << 30)], at)
