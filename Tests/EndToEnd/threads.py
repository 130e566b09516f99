# SPDX-License-Identifier: Apache-2.0
"""Stops single threads of a process, which no signal can: the others run on."""
import contextlib
import ctypes
import os
import pathlib

SEIZE, INTERRUPT, DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of thread {thread}")


def threads(process, prefix):
    """Threads of a process whose names begin so."""
    tasks = pathlib.Path(f"/proc/{process}/task")
    return [int(task.name) for task in tasks.iterdir() if (task / "comm").read_text().startswith(prefix)]


@contextlib.contextmanager
def stopped(thread):
    """Within it, that thread does nothing."""
    ptrace(SEIZE, thread)
    ptrace(INTERRUPT, thread)
    os.waitpid(thread, WALL)
    try:
        yield
    finally:
        ptrace(DETACH, thread)
