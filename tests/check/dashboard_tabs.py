"""Open tabs of the dashboard, as browsers hold them: an event stream each, and the questions of its panels again and again.

    python3 tests/check/dashboard_tabs.py --url http://127.0.0.1:8080 --tabs 50 --seconds 60

Prints what the streams brought and how long the answers took. Fails where a stream ends or an answer is no 200.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
import urllib.parse

QUESTIONS = [
    "/api/q/bars?symbol={symbol}&interval=1m&from=6h",
    "/api/q/ticks?symbol={symbol}&limit=200",
    "/api/q/signals?limit=100",
    "/api/q/volume_by_symbol?from=1d",
    "/api/q/daily_summary?from=2d",
]


class Tabs:
    def __init__(self, arguments):
        url = urllib.parse.urlsplit(arguments.url)
        self.host, self.port = url.hostname, url.port
        self.arguments = arguments
        self.events, self.bytes, self.answers, self.wrong = {}, 0, [], []

    def head(self, path):
        token = f"Authorization: Bearer {self.arguments.token}\r\n" if self.arguments.token else ""
        return f"GET {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n{token}\r\n".encode()

    async def open(self, path):
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(self.head(path))
        return reader, writer

    async def get(self, reader, writer, path):
        begun = time.monotonic()
        writer.write(self.head(path))
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(int(length.split(b":")[1]))
        self.answers.append(time.monotonic() - begun)
        if status != 200:
            self.wrong.append((path, status, body[:200]))
        return body

    async def stream(self, symbol):
        reader, writer = await self.open(f"/api/stream?symbol={urllib.parse.quote(symbol)}")
        try:
            while True:
                piece = await reader.read(1 << 16)
                if not piece:
                    self.wrong.append(("stream", "ended", symbol))
                    return
                self.bytes += len(piece)
                for name in (b"tiles", b"bars", b"events", b"pipeline", b"resync"):
                    self.events[name] = self.events.get(name, 0) + piece.count(b"event: " + name)
        finally:
            writer.close()

    async def ask(self, symbol, at):
        reader, writer = await asyncio.open_connection(self.host, self.port)
        # Tabs were not opened at the same moment.
        await asyncio.sleep(at)
        try:
            while True:
                for question in QUESTIONS:
                    await self.get(reader, writer, question.format(symbol=urllib.parse.quote(symbol)))
                await asyncio.sleep(self.arguments.every)
        finally:
            writer.close()

    async def run(self):
        reader, writer = await asyncio.open_connection(self.host, self.port)
        symbols = json.loads(await self.get(reader, writer, "/api/symbols"))["symbols"] or ["AAPL"]
        writer.close()
        tasks = []
        for tab in range(self.arguments.tabs):
            symbol = symbols[tab % min(len(symbols), self.arguments.symbols)]
            tasks.append(asyncio.create_task(self.stream(symbol)))
            tasks.append(asyncio.create_task(self.ask(symbol, self.arguments.every * tab / self.arguments.tabs)))
        await asyncio.sleep(self.arguments.seconds)
        for task in tasks:
            if task.done() and task.exception():
                self.wrong.append(("task", "failed", repr(task.exception())))
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--token")
    parser.add_argument("--tabs", type=int, default=50)
    parser.add_argument("--symbols", type=int, default=10, help="different symbols among the tabs")
    parser.add_argument("--every", type=float, default=5, help="seconds between two rounds of questions of a tab")
    parser.add_argument("--seconds", type=float, default=60)
    tabs = Tabs(parser.parse_args())
    asyncio.run(tabs.run())
    answers = sorted(tabs.answers)
    told = ", ".join(f"{count} {name.decode()}" for name, count in sorted(tabs.events.items()))
    print(f"streams: {tabs.bytes / 1e6:.1f} MB; {told}")
    quantile = statistics.quantiles(answers, n=100) if len(answers) > 1 else answers * 99
    print(f"answers: {len(answers)}, median {1e3 * quantile[49]:.0f} ms, p95 {1e3 * quantile[94]:.0f} ms, slowest {1e3 * answers[-1]:.0f} ms")
    for wrong in tabs.wrong[:10]:
        print("wrong:", *wrong, file=sys.stderr)
    sys.exit(1 if tabs.wrong else 0)


if __name__ == "__main__":
    main()
