"""Sockets of every family, and what the C library makes of them."""

from attacks.tools import denied, group, killed, returns

_FAMILIES = {  # number: name, kind
    1: ("Unix", 1),
    2: ("IPv4", 1),
    10: ("IPv6", 1),
    15: ("PF_KEY", 3),
    16: ("netlink", 3),
    17: ("raw packets", 3),
    21: ("RDS", 5),
    29: ("CAN", 3),
    30: ("TIPC", 5),
    31: ("Bluetooth", 1),
    38: ("the kernel's ciphers", 5),
    39: ("NFC", 5),
    40: ("VSOCK", 1),
    41: ("KCM", 2),
    43: ("SMC", 1),
    44: ("XDP", 3),
    45: ("MCTP", 2),
}
GROUPS = (
    group(
        "sockets",
        "from urllib.parse import urlsplit, parse_qs\nparts = urlsplit('https://example.org:8080/a?b=1')\n"
        "return [parts.hostname, parts.port, parse_qs(parts.query)]",
        ["example.org", 8080, {"b": ["1"]}],
        *(
            denied(f"socket: {name}", f"syscall('socket', {number}, {kind}, 0)")
            for number, (name, kind) in _FAMILIES.items()
        ),
        denied("socket: VSOCK datagrams", "syscall('socket', 40, 2, 0)"),
        denied("socket: ICMP", "syscall('socket', 2, 2, 1)"),
        denied("socket: MPTCP", "syscall('socket', 2, 1, 262)"),
        denied("socket: SCTP", "syscall('socket', 2, 5, 132)"),
        denied("socket by the C library", "native('socket', 2, 1, 0)"),
        denied("socket pair", "syscall('socketpair', 1, 1, 0, 0)"),
        denied("bind", "syscall('bind', 3, b'', 0)"),
        denied("listen", "syscall('listen', 3, 1)"),
        denied("connect any descriptor", "syscall('connect', 3, b'', 0)"),
        denied("send on any descriptor", "syscall('sendto', 3, b'x', 1, 0, 0, 0)"),
        denied("send a message", "syscall('sendmsg', 3, 0, 0)"),
        denied("receive the next command", "syscall('recvfrom', 3, 0, 0, 0, 0, 0)"),
        denied("receive descriptors", "syscall('recvmsg', 3, 0, 0)"),
        denied("accept", "native('accept', 3, None, None)"),
        denied("options of a socket", "native('getsockopt', 3, 1, 3, None, None)"),
        denied("shut the zygote's socket", "native('shutdown', 3, 2)"),
        denied("import a socket", "import _socket\n_socket.socket()", "ModuleNotFoundError|PermissionError", ""),
        denied(
            "import select",
            "import select\nselect.select([0], [], [], 0)",
            "ModuleNotFoundError|PermissionError|OSError",
            "",
        ),
        returns(
            "look a name up",
            "return native('getaddrinfo', b'example.org', None, None, ct['byref'](ct['c_void_p']())) != 0",
            True,
        ),
        returns("the host's name", "try: os.uname()\nexcept PermissionError: return 'unknown'", "unknown"),
        denied("name the host", "native('sethostname', b'x', 1)"),
        denied("ask for users", "import pwd\npwd.getpwnam('root')", "ModuleNotFoundError|PermissionError|KeyError", ""),
        killed("the kernel's log", "syscall('syslog', 3, 0, 0)"),
    ),
)
