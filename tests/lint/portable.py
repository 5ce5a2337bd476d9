#!/usr/bin/env python3
"""What also runs on a Mac calls nothing that only Linux has, outside the files that Meson picks.

SPDX-License-Identifier: GPL-2.0-or-later

The compiler says so too where Apple's headers are at hand (apple_build.py). This says it everywhere.
"""
import re
import sys

import lintlib

FOLDERS = ("src/client", "src/vfiouser", "tools/dext-vfio-user", "tools/dextctl", "tools/daemon",
           "examples")
# Of one system by name, or with a host that only this repository has.
OWN_SYSTEM = re.compile(r"_(?:linux|darwin)\.c$")
WITH_HOST = {"tools/dextctl/embedded.c"}
CALLS = ("eventfd", "epoll_create1?", "epoll_ctl", "epoll_p?wait2?", "memfd_create", "signalfd",
         "timerfd_\\w+", "inotify_\\w+", "accept4", "pipe2", "dup3", "ppoll", "gettid", "mremap",
         "prctl", "process_vm_\\w+", "pidfd_\\w+", "sendmmsg", "recvmmsg", "sendfile", "splice",
         "getrandom", "fallocate", "qsort_r", "strchrnul", "mempcpy", "canonicalize_file_name",
         "get_current_dir_name", "program_invocation_\\w+", "sem_init", "sem_timedwait",
         "pthread_setname_np", "pthread_mutex_timedlock", "clock_nanosleep", "timer_create",
         "pthread_condattr_setclock", "syscall", "sched_setaffinity", "posix_fallocate")
WORDS = ("SOCK_CLOEXEC", "SOCK_NONBLOCK", "SOCK_SEQPACKET", "MSG_NOSIGNAL", "MSG_CMSG_CLOEXEC",
         "SO_PEERCRED", "SCM_CREDENTIALS", "MAP_POPULATE", "MAP_FIXED_NOREPLACE",
         "MADV_DONTDUMP", "MADV_REMOVE", "O_PATH", "O_TMPFILE", "CLOCK_BOOTTIME", "F_ADD_SEALS",
         "MFD_\\w+", "EFD_\\w+", "__linux__")
HEADERS = ("linux/", "asm/",
           "sys/(?:epoll|eventfd|signalfd|timerfd|inotify|prctl|sendfile|random)\\.h", "endian\\.h", "byteswap\\.h", "malloc\\.h", "bsd/")
FOUND = [(re.compile(rf"\b({'|'.join(CALLS)})\s*\("), "a call that macOS does not have"),
         (re.compile(rf"\b({'|'.join(WORDS)})\b"), "a word of Linux"),
         (re.compile(rf"#\s*include <({'|'.join(HEADERS)})"), "a header that macOS does not have"),
         (re.compile(r'"(/(?:proc|sys|dev/(?:shm|vfio))/?\w*)'), "a file of Linux")]
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def without_comments(text):
    """The text with its lines where they were."""
    return COMMENT.sub(lambda match: "\n" * match[0].count("\n"), text)


def check(root):
    for path in lintlib.c_files(root, ("src", "tools", "examples")):
        name = str(path.relative_to(root))
        if not name.startswith(FOLDERS) or OWN_SYSTEM.search(name) or name in WITH_HOST:
            continue
        text = without_comments(path.read_text(encoding="utf-8"))
        for number, line in enumerate(text.splitlines(), 1):
            for pattern, what in FOUND:
                for match in pattern.finditer(line):
                    yield path, number, f"{what}: {match[1]}"


BAD = [
    ("eventfd", {"src/vfiouser/a.c": "int f = eventfd(0, 0);\n"}),
    ("a flag of a socket", {"src/client/a.c": "int f = socket(AF_UNIX, SOCK_CLOEXEC, 0);\n"}),
    ("a header", {"tools/dextctl/a.c": "#include <sys/epoll.h>\n"}),
    ("/proc", {"tools/daemon/a.c": 'FILE *f = fopen("/proc/self/maps", "r");\n'}),
    ("credentials", {"tools/daemon/a.c": "getsockopt(fd, SOL_SOCKET, SO_PEERCRED, c, n);\n"}),
    ("a switch of systems", {"src/vfiouser/a.h": "#ifdef __linux__\n"}),
]
GOOD = [
    ("a file of Linux", {"src/vfiouser/a_linux.c": "#include <sys/epoll.h>\n"}),
    ("a comment", {"src/client/a.c": "/* An eventfd(2)\n * or accept4(). */\nint a;\n"}),
    ("layers that stay on Linux", {"src/host/a.c": "int f = eventfd(0, 0);\n"}),
    ("what both have", {"src/client/a.c": "int f = poll(p, 1, -1) + pipe(fds);\n"}),
]

if __name__ == "__main__":
    sys.exit(lintlib.run("calls of Linux", check, BAD, GOOD))
