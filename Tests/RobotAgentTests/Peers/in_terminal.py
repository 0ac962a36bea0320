"""Runs a program in a terminal of its own, for TerminalSerialTests.

    in_terminal.py FILE COLUMNS EXPECT TYPE [EXPECT TYPE ...] -- PROGRAM ARGUMENT...

What the program writes goes to FILE. When it has written the text EXPECT, the line TYPE is typed, then the next one is waited
for. Ends with the program's exit code.
"""
import fcntl
import os
import pty
import struct
import sys
import termios

path, columns = sys.argv[1], int(sys.argv[2])
split = sys.argv.index("--")
script = [text.encode() for text in sys.argv[3:split]]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[split + 1], sys.argv[split + 1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
fresh = b""
with open(path, "wb", buffering=0) as record:
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        record.write(data)
        fresh += data
        if script and script[0] in fresh:
            os.write(terminal, script[1] + b"\n")
            script, fresh = script[2:], b""
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
