"""Orders for a proxy: lines of JSON on its standard input, each answered by a line on its standard output."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Awaitable, Callable

HERE = Path(__file__).resolve().parent


async def answer_lines(tell: Callable[[dict], Awaitable[dict]]) -> None:
    """The side of the proxy; ends with its standard input."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(json.dumps({"ready": True}), flush=True)
    while line := await reader.readline():
        print(json.dumps(await tell(json.loads(line))), flush=True)


class Proxy:
    """The side of the one who starts it."""

    def __init__(self, script: str, *arguments: str):
        self.process = subprocess.Popen(
            [sys.executable, HERE / script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.answer()

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the proxy has ended with {self.process.wait()}")
        return json.loads(line)

    def tell(self, **order) -> dict:
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
