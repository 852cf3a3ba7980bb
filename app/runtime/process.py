"""Start a child process that cannot outlive us, and end processes within a known time.

In: a command line, the system user to run it as, and the signal it gets when its parent dies.
Out: a running process (psutil.Popen).
Must hold: after we are gone, by whatever signal, no child stays (on Linux, at once; elsewhere the next
start finds and ends what was left, by the mark on its command line).
"""

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import psutil

# A command that belongs to one installation carries this many hex digits of its data folder's hash: enough
# that two folders of one machine never share a mark, short enough for a socket path.
MARK_DIGITS = 12

Steps = Sequence[tuple[signal.Signals, float]]

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 4
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path | None,
    death_signal: signal.Signals,
    user: pwd.struct_passwd | None = None,
    all_folders: bool = False,
    environment: dict[str, str] | None = None,
    cwd: Path | None = None,
    descriptors: Sequence[int] = (),
) -> psutil.Popen:
    """Start `command` in a process group of its own, output appended to `log` (None: our own output).

    `descriptors` stay open in the child. `all_folders` lets the child, running as `user`, reach files in
    folders that are closed to it. Call it from the main thread: Linux sends the death signal when the
    thread that forked ends.
    """
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("ab")) if log else None
        return psutil.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            env=environment,
            cwd=cwd or "/",
            pass_fds=descriptors,
            process_group=0,  # Ctrl-C reaches the parent alone, which then stops its children in order
            preexec_fn=_in_child(user, death_signal, all_folders),
        )


def end(processes: Iterable[psutil.Process | psutil.Popen], steps: Steps) -> None:
    """Send each step's signal and wait its seconds, until all have ended; let the last be SIGKILL."""
    alive = list(processes)
    for step_signal, wait_s in steps:
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(step_signal)
        _, alive = psutil.wait_procs(alive, timeout=wait_s)
        if not alive:
            return


def find_marked(program: str, mark: str) -> list[psutil.Process]:
    """The running processes of `program` that carry `mark`, without those whose parent is among them."""
    found = {
        process.pid: process
        for process in psutil.process_iter(["name", "cmdline", "ppid", "status"])
        if process.info["name"] == program
        and process.info["status"] != psutil.STATUS_ZOMBIE
        and mark in " ".join(process.info["cmdline"] or ())
    }
    return [process for process in found.values() if process.info["ppid"] not in found]


def _in_child(
    user: pwd.struct_passwd | None, death_signal: signal.Signals, all_folders: bool
) -> Callable[[], None] | None:
    if sys.platform != "linux" and user is None:
        return None
    parent_pid = os.getpid()

    def prepare() -> None:
        if user is not None:
            _become(user, all_folders)
        if sys.platform == "linux":
            # After the change of user, which clears it.
            _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
            if os.getppid() != parent_pid:  # the parent died before the line above
                os._exit(1)

    return prepare


def _become(user: pwd.struct_passwd, all_folders: bool) -> None:
    """Drop root for good. With `all_folders`, keep the one capability to pass closed folders.

    Root's data folders are often closed to all others (mode 0700: /root, a mkdtemp). Keeping one capability
    in one process changes nothing on disk; opening those folders to the world would.
    """
    keep = all_folders and sys.platform == "linux"
    if keep:
        # The capability stays through the change of user, and counts for access(), by which initdb looks
        # for its programs.
        _libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    if keep:
        bit = 1 << _CAP_DAC_OVERRIDE
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        effective_permitted_inheritable = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
        _libc.capset(header, effective_permitted_inheritable)
        _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)
