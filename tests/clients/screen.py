"""Runs a command on a pseudo-terminal and types what a script says, as a person would.

usage: screen.py < SCRIPT
SCRIPT is {"command": [...], "environment": {...}, "steps": [["wait for this text", "type this"], ...]}; a step waits
for its text after what earlier steps waited for. Prints {"code", "text", "echoes"}: the exit code (negative for a
signal), everything that was shown, and whether the terminal shows again what is typed.
"""

import json
import os
import pty
import select
import sys
import termios
import time

# A question that does not come within this time will not come.
PATIENCE = 60


def main():
    script = json.load(sys.stdin)
    child, master = pty.fork()
    if child == 0:
        os.execve(script["command"][0], script["command"], script["environment"])
    # What the wizard shows must not be folded.
    termios.tcsetwinsize(master, (50, 250))
    shown, seen = "", 0
    for wait_for, answer in script["steps"]:
        deadline = time.monotonic() + PATIENCE
        while wait_for not in shown[seen:]:
            more = read(master, deadline)
            if more is None:
                break
            shown += more
        if wait_for not in shown[seen:]:
            sys.exit(f"{wait_for!r} was not shown after {shown[:seen]!r}; there was {shown[seen:]!r}")
        seen = shown.index(wait_for, seen) + len(wait_for)
        os.write(master, answer.encode())
    deadline = time.monotonic() + PATIENCE
    while (more := read(master, deadline)) is not None:
        shown += more
    # The terminal lives as long as somebody holds it, and is asked before that ends.
    echoes = bool(termios.tcgetattr(master)[3] & termios.ECHO)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps({"code": code, "text": shown, "echoes": echoes}))


def read(master, deadline):
    """The next piece; nothing when the other side has gone or time is up."""
    ready, _, _ = select.select([master], [], [], max(0, deadline - time.monotonic()))
    if not ready:
        return None
    try:
        return os.read(master, 65536).decode(errors="replace") or None
    except OSError:
        return None


if __name__ == "__main__":
    main()
