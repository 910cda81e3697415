"""Run a server and end it when the process that wanted it is gone.

Run as a program: `guard.py SIGNAL UID GID COMMAND...` (uid and gid -1: unchanged). It prints the
server's process id, waits for the server and ends with its exit code. When its standard input
closes, which the kernel does however the asking process ended, it sends the server SIGNAL.

Why not PR_SET_PDEATHSIG on the server alone: the kernel sends that signal when the *thread* that
started the child ends, so a server started in a worker thread (asyncio.to_thread) would be killed
while the tests still run. Here the guard's only forking thread is its main one, so the signal is
safe, and covers the one case that the closed pipe does not: somebody kills the guard.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time


def main(abandon_signal: int, uid: int, gid: int, command: list[str]) -> int:
    """Run the command to its end."""
    guard_pid = os.getpid()
    libc = ctypes.CDLL(None)

    def end_with_guard() -> None:
        pr_set_pdeathsig = 1
        libc.prctl(pr_set_pdeathsig, abandon_signal)
        if os.getppid() != guard_pid:
            os._exit(1)

    # preexec_fn runs after the change of user, which would clear the signal; no thread exists yet.
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        user=uid if uid >= 0 else None,
        group=gid if gid >= 0 else None,
        extra_groups=() if uid >= 0 else None,
        preexec_fn=end_with_guard,
    )

    def end_when_abandoned() -> None:
        sys.stdin.buffer.read()
        server.send_signal(abandon_signal)
        time.sleep(10)
        server.send_signal(signal.SIGKILL)

    threading.Thread(target=end_when_abandoned, daemon=True).start()
    sys.stdout.write(f"{server.pid}\n")
    sys.stdout.close()
    code = server.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    # The daemon thread may be inside a read of stdin: a normal exit would wait for its lock.
    os._exit(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
