"""A person at a terminal, for the tests: runs a command on a pseudo-terminal and types what a file says.

    terminal.py KEYS COMMAND ...    types every line that is appended to the file KEYS; ends with the command's exit code

The line `HANGUP` closes the terminal instead, `INTERRUPT` types Ctrl+C.
"""
import os
import pty
import select
import sys
import time

keys, command = sys.argv[1], sys.argv[2:]
open(keys, "a").close()
child, terminal = pty.fork()
if child == 0:
    os.execv(command[0], command)
typed = 0
while terminal is not None:
    with open(keys) as file:
        lines = file.read().split("\n")[:-1]
    for line in lines[typed:]:
        typed += 1
        if line == "HANGUP":
            os.close(terminal)
            terminal = None
            break
        os.write(terminal, b"\x03" if line == "INTERRUPT" else line.encode() + b"\n")
    if terminal is None:
        break
    ready, _, _ = select.select([terminal], [], [], 0.02)
    if ready:
        try:
            sys.stdout.buffer.write(os.read(terminal, 65536))
            sys.stdout.flush()
        except OSError:
            break
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
