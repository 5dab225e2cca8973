#!/usr/bin/env python3
"""A TCP proxy that cuts, delays and falls silent, as it is told line by line on its standard input.

    tcp_proxy.py LISTEN_PORT TARGET_HOST:PORT

{"mode": "pass"}                    forwards
{"mode": "cut"}                     closes what is open and refuses what comes
{"mode": "turn-away"}               closes what is open, and what comes as soon as it is there: attempts can be counted
{"mode": "silent"}                  takes connections and data, and answers nothing: a half-open connection
{"mode": "slow", "seconds": 0.2}    forwards each piece that much later

Leaving a mode closes the connections that it has spoilt. Each line is answered by one, {"hits": N}: how many pieces of
data or connections the mode before has kept from where they were going.
"""

from __future__ import annotations

import asyncio
import sys

from proxy_control import answer_lines

PIECE = 1 << 16


class TcpProxy:
    def __init__(self, port: int, host: str, target: int):
        self.port, self.host, self.target = port, host, target
        self.mode, self.seconds, self.hits = "pass", 0.0, 0
        self.server: asyncio.Server | None = None
        self.open: set[asyncio.StreamWriter] = set()
        self.spoilt: set[asyncio.StreamWriter] = set()
        # The loop itself holds on to none of them.
        self.connections: set[asyncio.Task] = set()

    async def listen(self) -> None:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)

    async def tell(self, order: dict) -> dict:
        hits, self.hits = self.hits, 0
        before, self.mode, self.seconds = self.mode, order["mode"], order.get("seconds", 0.0)
        if before == "cut" and self.mode != "cut":
            await self.listen()
        if self.mode == "cut" and before != "cut":
            self.server.close()
            self.hits += len(self.open)
            self.abort(self.open)
        elif self.mode == "turn-away":
            self.abort(self.open)
        elif self.mode != before:
            self.abort(self.spoilt)
        return {"hits": hits}

    def abort(self, writers: set[asyncio.StreamWriter]) -> None:
        for writer in list(writers):
            writer.transport.abort()
        writers.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self.connections.add(task)
        task.add_done_callback(self.connections.discard)
        if self.mode == "turn-away":
            self.hits += 1
            writer.transport.abort()
            return
        try:
            upstream_reader, upstream = await asyncio.open_connection(self.host, self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, upstream}
        self.open |= pair
        try:
            await asyncio.gather(self.pump(reader, upstream, pair), self.pump(upstream_reader, writer, pair))
        finally:
            self.abort(pair & self.open)
            self.open -= {writer, upstream}
            self.spoilt -= {writer, upstream}

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: set) -> None:
        try:
            while piece := await reader.read(PIECE):
                if self.mode == "silent":
                    self.hits += 1
                    self.spoilt |= pair
                    continue
                if self.mode == "slow":
                    self.hits += 1
                    await asyncio.sleep(self.seconds)
                writer.write(piece)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for one in pair:
                one.transport.abort()


async def main() -> None:
    host, port = sys.argv[2].rsplit(":", 1)
    proxy = TcpProxy(int(sys.argv[1]), host, int(port))
    await proxy.listen()
    await answer_lines(proxy.tell)


if __name__ == "__main__":
    asyncio.run(main())
