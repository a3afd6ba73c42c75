"""What the sandboxed processes may ask of the kernel: the rules of the three seccomp filters.

The zygote is under an allowlist. A child inherits it and stacks a second filter that takes away what
only the zygote needed; filters only ever intersect. The monitor has an allowlist of its own.

``KILL`` is for what no honest program calls; common calls fail with an error instead, so that an
honest program sees an ordinary exception. Standard library only: the sandbox loads this file.
"""

from __future__ import annotations

import errno

from code_envs.executor.bpf import (
    ALLOW,
    KILL,
    Instruction,
    Rule,
    allow_descriptors,
    allow_values,
    assemble,
    deny,
    deny_bits,
    deny_pointer,
)

__all__ = ["child_filter", "monitor_filter", "script_filter", "zygote_filter"]

_PROT_EXEC = 4
_MADVICE = (0, 1, 2, 3, 4, 8)  # normal, random, sequential, willneed, dontneed, free
# fork() of glibc (SIGCHLD with the two child-tid flags) and of musl; no threads, no namespaces
_FORK_FLAGS = (0x01200011, 0x11)


def _words(text: str) -> list[str]:
    return text.split()


_COMPUTE = _words("""
brk munmap mremap futex exit exit_group clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time
sched_yield sched_getaffinity getrusage times rseq getuid getgid geteuid getegid sigaltstack
""")
_IDS = ["getpid", "gettid", "getppid"]
_ZYGOTE = _words("""
rt_sigreturn rt_sigaction rt_sigprocmask rt_sigtimedwait read write close close_range poll ppoll fork wait4 kill
timer_create timer_settime setrlimit prlimit64 getrlimit set_robust_list set_tid_address getrandom seccomp
recvmsg lseek
""")
_MONITOR = _words("""
brk munmap mremap futex exit exit_group rt_sigreturn rt_sigprocmask rt_sigtimedwait wait4 getppid clock_gettime
close
""")
_DANGEROUS = _words("""
ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp bpf userfaultfd perf_event_open
io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key personality modify_ldt iopl ioperm
mount umount2 pivot_root chroot setns unshare move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr
kexec_load kexec_file_load init_module finit_module delete_module reboot swapon swapoff acct quotactl uselib
name_to_handle_at open_by_handle_at pidfd_open pidfd_getfd pidfd_send_signal memfd_secret execve execveat
fanotify_init syslog setuid setgid setresuid setresgid setgroups capset tkill rt_sigqueueinfo rt_tgsigqueueinfo
landlock_create_ruleset landlock_add_rule landlock_restrict_self lookup_dcookie map_shadow_stack
""")
# Taken from the child: an error for what a library may try, death for the rest.
_CHILD_DENIED = _words("""
read write close close_range poll ppoll clone fork wait4 timer_create timer_settime setrlimit prlimit64 getrlimit
rt_sigaction rt_sigprocmask rt_sigtimedwait set_robust_list set_tid_address getrandom prctl sched_getaffinity
recvmsg lseek getrusage times
""")
_CHILD_SKIPPED = ["nanosleep", "clock_nanosleep"]  # the clock stands still, so there is nothing to wait for
_CHILD_KILLED = ["seccomp", "kill", "rt_sigreturn"]


def _memory_rules() -> dict[str, Rule]:
    """No memory ever becomes executable; advice only of the harmless kinds."""
    no_exec = deny_bits(2, _PROT_EXEC)
    return {"mmap": no_exec, "mprotect": no_exec, "madvise": allow_values(2, _MADVICE)}


def _base() -> dict[str, Rule]:
    """Rules of every filter: the structs of clone3 and openat2 cannot be read, so they do not exist."""
    rules: dict[str, Rule] = dict.fromkeys(_DANGEROUS, KILL)
    return rules | dict.fromkeys(("clone3", "openat2"), deny(errno.ENOSYS))


def zygote_filter(machine: str) -> list[Instruction]:
    """Assemble the filter of the zygote; every child inherits it."""
    rules = _base() | dict.fromkeys(_COMPUTE + _IDS + _ZYGOTE, ALLOW) | _memory_rules()
    rules["clone"] = allow_values(0, _FORK_FLAGS)
    rules["prctl"] = allow_values(0, (1,))  # PR_SET_PDEATHSIG, by each child
    return assemble(rules, deny(), machine)


def _child(frozen: bool) -> dict[str, Rule]:
    rules: dict[str, Rule] = dict.fromkeys(_IDS + _CHILD_SKIPPED, deny(0))  # the same ids in every run
    rules["futex"] = deny_pointer(3, errno.ETIMEDOUT)  # a timeout: a wait that is over at once, like a sleep
    # a negative id is the CPU clock of another process
    rules |= dict.fromkeys(("clock_gettime", "clock_getres"), deny_bits(0, 1 << 31))
    if frozen:  # whoever asks the kernel goes around the clock that stands still
        rules |= dict.fromkeys(("clock_gettime", "gettimeofday", "time"), deny())
    return rules | dict.fromkeys(_CHILD_DENIED, deny()) | dict.fromkeys(_CHILD_KILLED, KILL)


def child_filter(machine: str, frozen: bool = False) -> list[Instruction]:
    """Assemble what a child stacks on the zygote's filter just before it runs a program.

    Args:
        machine: One of ``syscalls.MACHINES``.
        frozen: Whether the clock of the C library stands still.
    """
    return assemble(_child(frozen), ALLOW, machine)


def script_filter(machine: str, frozen: bool = False) -> list[Instruction]:
    """Assemble the same for a script, which also reads descriptor 0 and writes 1 and 2."""
    own: dict[str, Rule] = {"read": allow_descriptors(0), "write": allow_descriptors(1, 2)}
    own |= dict.fromkeys(("lseek", "close"), allow_descriptors(0, 1, 2))
    return assemble(_child(frozen) | own, ALLOW, machine)


def monitor_filter(machine: str, zygote: int) -> list[Instruction]:
    """Assemble the filter of the monitor, which waits for one process and may kill only that one.

    Args:
        machine: One of ``syscalls.MACHINES``.
        zygote: The process id of the zygote, as the monitor sees it.
    """
    rules = _base() | dict.fromkeys(_MONITOR, ALLOW) | _memory_rules()
    rules["kill"] = allow_values(0, (zygote,))
    return assemble(rules, deny(), machine)
