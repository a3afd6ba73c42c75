"""Interfaces of the kernel that no program needs."""

from attacks.tools import denied, group, killed

_KILLED = """
io_uring_setup io_uring_enter io_uring_register bpf keyctl add_key request_key perf_event_open mount umount2 setns
unshare pivot_root fsopen fsconfig fsmount fspick open_tree move_mount mount_setattr init_module finit_module
delete_module kexec_load kexec_file_load reboot swapon swapoff acct quotactl landlock_create_ruleset
landlock_add_rule landlock_restrict_self lookup_dcookie uselib
"""
_DENIED = """
shmget shmat semget semop msgget mq_open timerfd_create io_setup tee futex_wait lsm_set_self_attr vhangup
clock_settime getrandom setsid pipe2 ppoll close_range sched_setaffinity getitimer
"""
# Names that the executor's own table lacks: (number on x86-64, number on aarch64, arguments).
_NUMBERS = {
    "shmdt": (67, 197, "0"),
    "semctl": (66, 191, "0, 0, 3, 0"),
    "msgsnd": (69, 189, "0, 0, 0, 0"),
    "mq_unlink": (241, 181, "b'/x'"),
    "io_submit": (209, 2, "0, 0, 0"),
    "migrate_pages": (256, 238, "0, 0, 0, 0"),
    "set_mempolicy_home_node": (450, 450, "0, 0, 0, 0"),
    "sync": (162, 81, "0"),
    "process_madvise's kin: mincore": (27, 232, "0, 0, 0"),
    "sysinfo": (99, 179, "0"),
    "uname": (63, 160, "0"),
    "getcpu": (309, 168, "0, 0, 0"),
    "adjtimex": (159, 171, "0"),
    "settimeofday": (164, 170, "0, 0"),
    "sched_setattr": (314, 274, "0, 0, 0"),
    "ioprio_set": (251, 30, "1, 0, 0"),
    "kexec's kin: pidfd of a clone": (435, 435, "0, 0"),
    "futex_waitv": (449, 449, "0, 0, 0, 0, 0"),
    "futex_requeue": (456, 456, "0, 0, 0, 0"),
    "statmount": (457, 457, "0, 0, 0, 0"),
    "listmount": (458, 458, "0, 0, 0, 0"),
    "lsm_get_self_attr": (459, 459, "0, 0, 0, 0"),
    "lsm_list_modules": (461, 461, "0, 0, 0"),
    "setxattrat": (463, 463, "-100, b'/', 0, 0, 0, 0"),
    "open_tree_attr": (467, 467, "-100, b'/', 0, 0, 0"),
    "quotactl_fd": (443, 443, "3, 0, 0, 0"),
    "epoll_pwait2": (441, 441, "3, 0, 0, 0, 0, 0"),
}


def _number(name, numbers):
    arguments = numbers[2]
    refusal = ("OSError", "[Errno 38]") if numbers[0] == 435 else ("PermissionError", "[Errno 1]")
    choose = f"_numbers['x'] = {numbers[0]} if _numbers['openat'] == 257 else {numbers[1]}\n"
    return denied(name, f"{choose}syscall('x', {arguments})", *refusal)


GROUPS = (
    group(
        "kernel interfaces",
        "import hashlib, zlib\nreturn [hashlib.sha256(b'a').hexdigest()[:8], zlib.crc32(b'a')]",
        ["ca978112", 3904355907],
        *(
            killed(name, f"if {name!r} not in _numbers: os.kill(0, 9)\nsyscall({name!r}, 0, 0, 0, 0, 0)")
            for name in _KILLED.split()
        ),
        *(denied(name, f"syscall({name!r}, 0, 0, 0, 0, 0)") for name in _DENIED.split()),
        *(_number(name, numbers) for name, numbers in _NUMBERS.items()),
        killed("a second filter", "syscall('seccomp', 1, 0, ct['create_string_buffer'](16))"),
        killed("ask the filter", "syscall('seccomp', 2, 0, 0)"),
        killed("a listener for the filter", "syscall('seccomp', 1, 8, ct['create_string_buffer'](16))"),
        killed("mount for real", "native('mount', b'none', b'/', b'tmpfs', ct['c_ulong'](0), None)"),
        killed("a ring for real", "syscall('io_uring_setup', 1, ct['create_string_buffer'](120))"),
        killed("another user namespace", "syscall('unshare', 0x10000000)"),
        killed("a raw keyring", "syscall('keyctl', 0, -3, 1)"),
    ),
)
