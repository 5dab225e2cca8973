#!/usr/bin/env python3
"""A proxy before an S3 server that breaks chosen requests, as it is told line by line on its standard input.

    s3_proxy.py LISTEN_PORT TARGET_HOST:PORT

Bytes of requests go through untouched, Host included, so their signatures stay valid. Orders:

{"rule": {"method": "PUT", "path": "REGEX", "do": ACTION, "times": 1, "seconds": 3}}   instead of the rule before
{"rule": null}    forwards everything

`path` is searched in the path with its query as sent; `times` null is for ever. Each order is answered by {"hits": N}:
how often the rule before has struck. ACTIONs:

503-after     forwards, and answers 503 whatever the server said      503, 403, 409, 412   answers so and forwards nothing
drop-after    forwards, and closes the connection in place of the answer
hang          forwards nothing, answers nothing, closes after `seconds` or at the next order
hang-after    the same after it forwarded
truncate      half of the body of a successful answer, then closes
stale-list    an answer to LIST without what was stored in the last `seconds`
lie           answers 200 where the server said 412, as one that ignores If-None-Match
refuse        closes the connection at once
"""

from __future__ import annotations

import asyncio
import re
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from proxy_control import answer_lines

STATUS = {"503": "Service Unavailable", "403": "Forbidden", "409": "Conflict", "412": "Precondition Failed"}
CODES = {"503": "SlowDown", "403": "AccessDenied", "409": "ConditionalRequestConflict", "412": "PreconditionFailed"}
CONTENTS = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)
MODIFIED = re.compile(rb"<LastModified>(.*?)</LastModified>")
COUNT = re.compile(rb"<KeyCount>\d+</KeyCount>")


@dataclass
class Rule:
    method: str
    path: str
    do: str
    times: int | None = None
    seconds: float = 0.0
    hits: int = 0

    def strikes(self, method: str, path: str) -> bool:
        over = self.times is not None and self.hits >= self.times
        return not over and method in self.method.split("|") and re.search(self.path, path) is not None


@dataclass
class Message:
    """A request or an answer: first line and headers as they came, and the body."""

    head: bytes
    body: bytes

    def words(self) -> list[str]:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)

    @property
    def status(self) -> int:
        return int(self.words()[1])

    def with_body(self, body: bytes) -> Message:
        lines = [line for line in self.head.split(b"\r\n") if line]
        kept = [line for line in lines if not line.lower().startswith((b"content-length:", b"transfer-encoding:"))]
        return Message(b"\r\n".join([*kept, b"Content-Length: %d" % len(body), b"", b""]), body)


async def read_message(reader: asyncio.StreamReader, has_body: bool = True) -> Message | None:
    """None: the connection has ended."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    headers = dict(
        (name.strip().lower(), value.strip())
        for name, _, value in (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    )
    if not has_body:
        return Message(head, b"")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while True:
            line = await reader.readuntil(b"\r\n")
            chunk = await reader.readexactly(int(line.split(b";")[0], 16) + 2)
            body += line + chunk
            if chunk == b"\r\n":
                return Message(head, body)
    return Message(head, await reader.readexactly(int(headers.get("content-length", 0))))


def dechunked(answer: Message) -> bytes:
    if b"transfer-encoding: chunked" not in answer.head.lower():
        return answer.body
    body, rest = b"", answer.body
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        body, rest = body + rest[:size], rest[size + 2 :]
    return body


def refusal(code: str) -> bytes:
    body = f"<?xml version='1.0'?><Error><Code>{CODES[code]}</Code><Message>of the proxy</Message></Error>".encode()
    head = f"HTTP/1.1 {code} {STATUS[code]}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def without_new(answer: Message, seconds: float) -> Message | None:
    """A listing as it was `seconds` ago; None where that is the same one."""
    then = datetime.now(timezone.utc) - timedelta(seconds=seconds)
    left = 0

    def keep(entry: re.Match) -> bytes:
        nonlocal left
        modified = datetime.fromisoformat(MODIFIED.search(entry[0])[1].decode())
        left += modified <= then
        return entry[0] if modified <= then else b""

    whole = dechunked(answer)
    body = CONTENTS.sub(keep, whole)
    if body == whole:
        return None
    return answer.with_body(COUNT.sub(b"<KeyCount>%d</KeyCount>" % left, body))


class S3Proxy:
    def __init__(self, port: int, host: str, target: int):
        self.port, self.host, self.target = port, host, target
        self.rule: Rule | None = None
        self.over = asyncio.Event()
        # The loop itself holds on to none of them.
        self.connections: set[asyncio.Task] = set()

    async def tell(self, order: dict) -> dict:
        hits = self.rule.hits if self.rule else 0
        if "rule" in order:
            self.rule = Rule(**order["rule"]) if order["rule"] else None
            self.over.set()
            self.over = asyncio.Event()
        return {"hits": hits}

    async def hang(self, seconds: float) -> None:
        """Or until there is another rule."""
        try:
            await asyncio.wait_for(self.over.wait(), seconds)
        except TimeoutError:
            pass

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self.connections.add(task)
        task.add_done_callback(self.connections.discard)
        upstream = None
        try:
            while (request := await read_message(reader)) is not None:
                if upstream is None:
                    upstream = await asyncio.open_connection(self.host, self.target)
                if not await self.pass_on(request, upstream, writer):
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            if upstream is not None:
                upstream[1].transport.abort()

    async def pass_on(self, request: Message, upstream, writer: asyncio.StreamWriter) -> bool:
        """False: this connection is over."""
        method, path, _ = request.words()
        rule = self.rule if self.rule and self.rule.strikes(method, path) else None
        do = rule.do if rule else None
        if do in ("503", "403", "409", "412", "hang", "refuse"):
            rule.hits += 1
            if do in STATUS:
                writer.write(refusal(do))
                await writer.drain()
                return True
            if do == "hang":
                await self.hang(rule.seconds)
            return False
        upstream[1].write(request.head + request.body)
        answer = await read_message(upstream[0], has_body=method != "HEAD")
        if answer is None:
            return False
        stale = without_new(answer, rule.seconds) if do == "stale-list" and answer.status < 300 else None
        strikes = {"lie": answer.status == 412, "truncate": answer.status < 300 and len(answer.body) > 1}
        strikes["stale-list"] = stale is not None
        if rule is not None and strikes.get(do, answer.status < 300):
            rule.hits += 1
            if do == "503-after":
                writer.write(refusal("503"))
                await writer.drain()
                return True
            if do == "truncate":
                writer.write(answer.head + answer.body[: len(answer.body) // 2])
                await writer.drain()
                writer.close()
                await writer.wait_closed()
                return False
            if do == "hang-after":
                await self.hang(rule.seconds)
            if do in ("drop-after", "hang-after"):
                return False
            if do == "stale-list":
                answer = stale
            if do == "lie":
                answer = Message(b"HTTP/1.1 200 OK\r\nETag: \"0\"\r\nContent-Length: 0\r\n\r\n", b"")
        writer.write(answer.head + answer.body)
        await writer.drain()
        return True


async def main() -> None:
    host, port = sys.argv[2].rsplit(":", 1)
    proxy = S3Proxy(int(sys.argv[1]), host, int(port))
    await asyncio.start_server(proxy.serve, "127.0.0.1", proxy.port, limit=1 << 20)
    await answer_lines(proxy.tell)


if __name__ == "__main__":
    asyncio.run(main())
