#!/usr/bin/env python3
"""Writes the session of docs/prompt.md: types into `tickhouse query` on a terminal and copies what its screen shows.

    "$(tests/servers/python.sh tests/check/requirements-docs.txt)" tests/check/prompt_docs.py --brokers B

The lake is the one of docs/queries.md.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

import pyte

from catalog_docs import REPOSITORY, make_lake
from docs_part import write_part

COLUMNS, LINES = 118, 400
PROMPT = "tickhouse> "
CONTINUED = "...>"
TAB, CTRL_C = "\t", "\x03"
TOP = "-- What moved most.\nSELECT symbol, max(close) / min(close) AS range\nFROM ticks GROUP BY symbol ORDER BY range DESC LIMIT 2;\n"
ENDLESS = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n;"
#: Keys, and what the screen must show after them.
SESSION = [
    (".help\r", PROMPT),
    (".tables\r", PROMPT),
    (".schema dead_letters\r", PROMPT),
    ("SELECT sym" + TAB, "SELECT symbol"),
    (", count(*) AS ticks,\r", CONTINUED),
    ("  max(close) AS high\r", CONTINUED),
    ("FROM ti" + TAB, "FROM ticks"),
    (" GROUP BY symbol ORDER BY high DESC LIMIT 3;\r", PROMPT),
    ("SELECT kafka_" + TAB + TAB, "kafka_ts"),
    (CTRL_C, PROMPT),
    ("movers --param since=2026-11-20 --param top=2\r", PROMPT),
    (".mode csv\r", PROMPT),
    (".timer off\r", PROMPT),
    (".read top.sql\r", PROMPT),
    (".mode auto\r", PROMPT),
    (".timer on\r", PROMPT),
    (ENDLESS + "\r", "running"),
    (CTRL_C, PROMPT),
    ("SELECT symbol, close FROM ticks GROUP BY symbol;\r", PROMPT),
    ("SELECT symbol, avrage(close) FROM ticks GROUP BY symbol;\r", PROMPT),
    ("SELECT symbol, clsoe FROM ticks WHERE trade_date = DATE '2026-11-20';\r", PROMPT),
    ("SELECT count(*) AS still_here FROM ticks;\r", PROMPT),
    (".quit\r", ""),
]


class Terminal:
    def __init__(self, command: list[str], folder: str, state: str):
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.ByteStream(self.screen)
        pid, self.file = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.environ |= {"TERM": "xterm", "XDG_STATE_HOME": state}
            os.execv(command[0], command)
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.screen.write_process_input = lambda text: os.write(self.file, text.encode())

    def text(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    def read(self, seconds: float) -> bool:
        """Whether something came."""
        if not select.select([self.file], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.file, 65_536)
        except OSError:  # The other end is closed.
            return False
        # A terminal shows nothing for the echo of Ctrl-C.
        self.stream.feed(data.replace(CTRL_C.encode(), b""))
        return bool(data)

    def settle(self) -> None:
        """What is still on its way, but not all that a line of progress has to tell."""
        end = time.monotonic() + 1
        while time.monotonic() < end and self.read(0.2):
            pass

    def wait_for(self, text: str, below: int) -> None:
        """Until a line below a number is the prompt, or shows the text."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            shown = self.text()[below:]
            if any(line == text.rstrip() if text == PROMPT else text in line for line in shown):
                self.settle()
                return
            self.read(1)
        raise SystemExit(f"{text!r} did not come; the screen shows:\n" + "\n".join(self.text()).rstrip())


def session(tickhouse: Path, folder: str, state: str) -> str:
    terminal = Terminal([str(tickhouse), "query", "--table", "./lake"], folder, state)
    terminal.wait_for(PROMPT, 0)
    for keys, shown in SESSION:
        row = terminal.screen.cursor.y
        os.write(terminal.file, keys.encode())
        if shown:
            terminal.wait_for(shown, row if shown != PROMPT else row + 1)
        terminal.settle()
    return "\n".join(terminal.text()).rstrip().replace(folder, "/data")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as state:
        make_lake(args.tickhouse, args.brokers, folder)
        (Path(folder) / "top.sql").write_text(TOP)
        shown = session(args.tickhouse.resolve(), folder, state)
    told = f"`top.sql` holds\n\n```sql\n{TOP}```\n"
    write_part("prompt.md", "prompt_docs.py", f"```\n$ tickhouse query --table ./lake\n{shown}\n```\n\n{told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
