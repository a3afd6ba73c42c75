"""System call numbers for the seccomp filters, by machine.

Standard library only: the sandboxed interpreter loads this file too. A filter needs no more names
than it mentions; everything else falls to its default action.
"""

from __future__ import annotations

import os

__all__ = ["AUDIT_ARCH", "MACHINES", "machine", "table"]

MACHINES = ("x86_64", "aarch64")
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# name:x86_64:aarch64, "-" where the machine has no such call
_NUMBERS = """
read:0:63 write:1:64 open:2:- close:3:57 stat:4:- fstat:5:80 lstat:6:- poll:7:- lseek:8:62 mmap:9:222
mprotect:10:226 munmap:11:215 brk:12:214 rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 ioctl:16:29
pread64:17:67 pwrite64:18:68 readv:19:65 writev:20:66 pipe:22:- sched_yield:24:124 mremap:25:216 madvise:28:233
shmget:29:194 shmat:30:196 dup:32:23 dup2:33:- nanosleep:35:101 getitimer:36:102 alarm:37:- setitimer:38:103
getpid:39:172 sendfile:40:71 socket:41:198 connect:42:203 sendto:44:206 recvfrom:45:207 sendmsg:46:211
recvmsg:47:212 bind:49:200 listen:50:201 socketpair:53:199 clone:56:220 fork:57:- vfork:58:- execve:59:221
exit:60:93 wait4:61:260 kill:62:129 semget:64:190 semop:65:193 msgget:68:186 fcntl:72:25 fsync:74:82 ftruncate:77:46
getcwd:79:17 unlink:87:- chmod:90:- gettimeofday:96:169 getrlimit:97:163 getrusage:98:165 times:100:153
ptrace:101:117 getuid:102:174 syslog:103:116 getgid:104:176 setuid:105:146 setgid:106:144 geteuid:107:175
getegid:108:177 getppid:110:173 setsid:112:157 setgroups:116:159 setresuid:117:147 setresgid:119:149 capget:125:90
capset:126:91 rt_sigtimedwait:128:137 rt_sigqueueinfo:129:138 sigaltstack:131:132 uselib:134:- personality:135:92
vhangup:153:58 modify_ldt:154:- pivot_root:155:41 prctl:157:167 arch_prctl:158:- setrlimit:160:164 chroot:161:51
acct:163:89 mount:165:40 umount2:166:39 swapon:167:224 swapoff:168:225 reboot:169:142 iopl:172:- ioperm:173:-
init_module:175:105 delete_module:176:106 quotactl:179:60 gettid:186:178 tkill:200:130 time:201:- futex:202:98
sched_setaffinity:203:122 sched_getaffinity:204:123 io_setup:206:0 lookup_dcookie:212:18 remap_file_pages:216:234
set_tid_address:218:96 timer_create:222:107 timer_settime:223:110
clock_settime:227:112 clock_gettime:228:113 clock_getres:229:114
clock_nanosleep:230:115 exit_group:231:94 tgkill:234:131 mq_open:240:180 kexec_load:246:104 waitid:247:95
add_key:248:217 request_key:249:218 keyctl:250:219 openat:257:56 newfstatat:262:79 ppoll:271:73 unshare:272:97
set_robust_list:273:99 splice:275:76 tee:276:77 vmsplice:278:75 move_pages:279:239 timerfd_create:283:85
signalfd4:289:74 eventfd2:290:19 epoll_create1:291:20 pipe2:293:59 inotify_init1:294:26 rt_tgsigqueueinfo:297:240
perf_event_open:298:241 fanotify_init:300:262 prlimit64:302:261 name_to_handle_at:303:264 open_by_handle_at:304:265
setns:308:268 process_vm_readv:310:270 process_vm_writev:311:271 kcmp:312:272 finit_module:313:273 seccomp:317:277
getrandom:318:278 memfd_create:319:279 kexec_file_load:320:294 bpf:321:280 execveat:322:281 userfaultfd:323:282
membarrier:324:283 pkey_mprotect:329:288 statx:332:291 rseq:334:293 pidfd_send_signal:424:424 io_uring_setup:425:425
io_uring_enter:426:426 io_uring_register:427:427 open_tree:428:428 move_mount:429:429 fsopen:430:430
fsconfig:431:431 fsmount:432:432 fspick:433:433 pidfd_open:434:434 clone3:435:435 close_range:436:436
openat2:437:437 pidfd_getfd:438:438 process_madvise:440:440 mount_setattr:442:442 landlock_create_ruleset:444:444
landlock_add_rule:445:445 landlock_restrict_self:446:446 memfd_secret:447:447 process_mrelease:448:448
cachestat:451:451 fchmodat2:452:452 map_shadow_stack:453:453 futex_wait:455:455 lsm_set_self_attr:460:460
mseal:462:462
"""


def machine() -> str:
    """Name this machine as ``MACHINES`` does; other names have no filter."""
    name = os.uname().machine
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def table(machine: str) -> dict[str, int]:
    """Map system call names to their numbers.

    Args:
        machine: One of ``MACHINES``.

    Returns:
        Number by name, for the names that exist on that machine.
    """
    column = 1 + MACHINES.index(machine)
    rows = (row.split(":") for row in _NUMBERS.split())
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}
