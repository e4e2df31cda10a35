"""Writes the memory of a process to stdout: all that it can write to, its environment and its arguments.

    memory.py PID

One record for each piece: the length of its name (4 bytes, big endian), its name, its length (8 bytes), its bytes.
"""

import struct
import sys

# More than any mapping of a test's daemon; what is larger is reserved and not used.
PIECE_BYTES_MAX = 1 << 30


def write(name, content):
    name = name.encode()
    sys.stdout.buffer.write(struct.pack(">I", len(name)) + name + struct.pack(">Q", len(content)) + content)


def main(pid):
    for name in ("environ", "cmdline"):
        with open(f"/proc/{pid}/{name}", "rb") as file:
            write(name, file.read())
    with open(f"/proc/{pid}/maps") as file:
        lines = file.read().splitlines()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in lines:
            span, rights, *rest = line.split(maxsplit=5)
            start, end = (int(part, 16) for part in span.split("-"))
            if not rights.startswith("rw") or end - start > PIECE_BYTES_MAX:
                continue
            try:
                memory.seek(start)
                write(f"{span} {rest[3] if len(rest) > 3 else 'anonymous'}", memory.read(end - start))
            except OSError:
                # memfd_secret and the like: not even root reads them.
                continue


main(int(sys.argv[1]))
