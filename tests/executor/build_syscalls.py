"""Write ``code_envs/executor/syscall_numbers.py`` from the kernel's headers: ``make syscalls``.

Numbers are never reused and never change, so any headers that are new enough will do, whatever kernel
runs here. Debian's linux-libc-dev has both files; newer ones lie in ``usr/include`` of a kernel tree
after ``make headers_install ARCH=...``, one tree for each machine.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

TARGET = Path(__file__).parents[2] / "code_envs" / "executor" / "syscall_numbers.py"
X86_64 = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
AARCH64 = Path("/usr/include/asm-generic/unistd.h")  # what aarch64 includes, with these switches
VERSION = Path("/usr/include/linux/version.h")
_SWITCHES = ("RENAMEAT", "NEW_STAT", "SET_GET_RLIMIT", "TIME32_SYSCALLS", "SYS_CLONE3", "MEMFD_SECRET")

PAGE = '''"""System call numbers, from the headers of Linux {linux}; written by ``make syscalls``, not by hand.

One ``name:x86_64:aarch64`` each, "-" where the machine has no such call.
"""

__all__ = ["LINUX", "NUMBERS"]

LINUX = "{linux}"
NUMBERS = """
{rows}
"""
'''


def read_header(header: Path) -> dict[str, int]:
    """Number by name, as the C preprocessor sees it."""
    switches = [f"-D__ARCH_WANT_{name}" for name in _SWITCHES]
    command = ["cc", "-E", "-dM", "-x", "c", "-D__BITS_PER_LONG=64", *switches, str(header)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    defined = dict(re.findall(r"^#define (__NR\w+) (\w+)$", text, re.MULTILINE))
    numbers = {}
    for name, value in defined.items():
        if name.startswith("__NR_") and name not in ("__NR_syscalls", "__NR_arch_specific_syscall"):
            numbers[name[5:]] = int(defined.get(value, value))
    return numbers


def read_version(header: Path = VERSION) -> str:
    """The version of the headers, such as ``6.12``."""
    found = re.search(r"LINUX_VERSION_CODE (\d+)", header.read_text())
    assert found is not None
    return f"{int(found[1]) >> 16}.{int(found[1]) >> 8 & 255}"


def build(x86_64: dict[str, int], aarch64: dict[str, int], linux: str) -> str:
    """The module's text."""
    names = sorted({*x86_64, *aarch64}, key=lambda name: (x86_64.get(name, 1000), aarch64.get(name, 1000)))
    words = [f"{name}:{x86_64.get(name, '-')}:{aarch64.get(name, '-')}" for name in names]
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) >= 119:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return PAGE.format(linux=linux, rows="\n".join(lines))


def main() -> None:
    """Read the headers, refuse those that would lose a call, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--x86-64", type=Path, default=X86_64, help="asm/unistd_64.h of x86-64")
    parser.add_argument("--aarch64", type=Path, default=AARCH64, help="its own, or asm-generic/unistd.h")
    parser.add_argument("--version", type=Path, default=VERSION, help="linux/version.h")
    given = parser.parse_args()
    page = build(read_header(given.x86_64), read_header(given.aarch64), read_version(given.version))
    rows = re.compile(r"^\w+:[\d-]+:[\d-]+$")
    lost = set(TARGET.read_text().split() if TARGET.exists() else ()) - set(page.split())
    if lost := {word for word in lost if rows.match(word)}:
        sys.exit(f"These headers would lose {len(lost)} calls, such as {min(lost)}: give newer ones, see --help.")
    TARGET.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
