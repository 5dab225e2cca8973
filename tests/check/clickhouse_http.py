#!/usr/bin/env python3
"""ClickHouse's HTTP interface over chdb, as far as statements in a POST go: prints its URL and serves until it is killed.

User and password are those of CLICKHOUSE_USER and CLICKHOUSE_PASSWORD. A wrong statement is status 500 with the text that
ClickHouse has for it.
"""

from __future__ import annotations

import os
from http.server import BaseHTTPRequestHandler, HTTPServer

from chdb.session import Session

LOG_IN = (os.environ["CLICKHOUSE_USER"], os.environ["CLICKHOUSE_PASSWORD"])


class Interface(BaseHTTPRequestHandler):
    session = Session()

    def do_POST(self) -> None:
        statement = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if (self.headers["X-ClickHouse-User"], self.headers["X-ClickHouse-Key"]) != LOG_IN:
            return self.answer(403, "Code: 516. DB::Exception: Authentication failed (AUTHENTICATION_FAILED)")
        try:
            self.answer(200, str(self.session.query(statement, "TabSeparated")))
        except Exception as error:  # Whatever it is: the client is told.
            self.answer(500, str(error))

    def answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = HTTPServer(("127.0.0.1", 0), Interface)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
