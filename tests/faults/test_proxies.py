"""Each trick of the proxies before a server that counts what it gets."""

from __future__ import annotations

import http.client
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from proxy_control import Proxy
from servers import free_ports

LISTING = b"""<ListBucketResult><KeyCount>2</KeyCount><Contents><Key>a</Key><LastModified>2020-01-01T00:00:00.000Z</LastModified>
</Contents><Contents><Key>b</Key><LastModified>2099-01-01T00:00:00.000Z</LastModified></Contents></ListBucketResult>"""


class Store(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    puts: list[str] = []

    def answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        taken = self.headers.get("If-None-Match") == "*" and self.path in self.puts
        self.puts.append(self.path)
        self.answer(412 if taken else 200, b"")

    def do_GET(self) -> None:
        self.answer(200, LISTING if "list-type" in self.path else b"0123456789")

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def store():
    Store.puts = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    [port] = free_ports(1)
    proxy = Proxy("s3_proxy.py", str(port), f"127.0.0.1:{server.server_port}")

    def ask(method: str, path: str, **headers) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request(method, path, b"body" if method == "PUT" else None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    yield proxy, ask
    proxy.stop()
    server.shutdown()


def rule(proxy: Proxy, do: str, method: str = "PUT", path: str = "/b/", **more) -> None:
    proxy.tell(rule={"method": method, "path": path, "do": do, **more})


def test_without_a_rule_everything_passes(store):
    proxy, ask = store
    assert ask("PUT", "/b/k")[0] == 200 and ask("GET", "/b/k") == (200, b"0123456789")
    assert ask("GET", "/b?list-type=2") == (200, LISTING)
    assert proxy.tell()["hits"] == 0


@pytest.mark.parametrize("do, code, stored", [("503-after", 503, 1), ("503", 503, 0), ("409", 409, 0), ("412", 412, 0)])
def test_answers(store, do, code, stored):
    proxy, ask = store
    rule(proxy, do, times=1)
    assert ask("PUT", "/b/k")[0] == code and Store.puts == ["/b/k"] * stored
    assert ask("PUT", "/b/k")[0] == 200, "once"
    assert proxy.tell(rule=None)["hits"] == 1


@pytest.mark.parametrize("do, stored", [("drop-after", 1), ("hang-after", 1), ("hang", 0), ("refuse", 0)])
def test_no_answer(store, do, stored):
    proxy, ask = store
    rule(proxy, do, seconds=0.2)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask("PUT", "/b/k")
    assert Store.puts == ["/b/k"] * stored and proxy.tell()["hits"] == 1


def test_half_an_answer(store):
    proxy, ask = store
    rule(proxy, "truncate", "GET")
    with pytest.raises(http.client.IncompleteRead):
        ask("GET", "/b/k")
    assert proxy.tell()["hits"] == 1


def test_a_listing_of_before(store):
    proxy, ask = store
    rule(proxy, "stale-list", "GET", "list-type", seconds=1)
    code, body = ask("GET", "/b?list-type=2")
    assert code == 200 and b"<Key>a</Key>" in body and b"<Key>b</Key>" not in body and b"<KeyCount>1<" in body


def test_a_store_that_ignores_if_none_match(store):
    proxy, ask = store
    rule(proxy, "lie")
    put = {"If-None-Match": "*"}
    assert [ask("PUT", "/b/k", **put)[0] for _ in range(2)] == [200, 200]
    proxy.tell(rule=None)
    assert ask("PUT", "/b/k", **put)[0] == 412


def test_a_cut_a_silence_and_their_end():
    server = socket.create_server(("127.0.0.1", 0))

    def echo() -> None:
        while True:
            try:
                one, _ = server.accept()
            except OSError:
                return
            with one:
                try:
                    while piece := one.recv(100):
                        one.sendall(piece)
                except OSError:
                    pass

    threading.Thread(target=echo, daemon=True).start()
    [port] = free_ports(1)
    proxy = Proxy("tcp_proxy.py", str(port), f"127.0.0.1:{server.getsockname()[1]}")

    def echoes(client: socket.socket) -> bool:
        client.settimeout(1)
        try:
            client.sendall(b"hello")
            return client.recv(100) == b"hello"
        except OSError:
            return False

    try:
        client = socket.create_connection(("127.0.0.1", port))
        assert echoes(client)
        proxy.tell(mode="cut")
        assert not echoes(client)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        assert proxy.tell(mode="pass")["hits"] == 2
        client = socket.create_connection(("127.0.0.1", port))
        assert echoes(client)
        proxy.tell(mode="silent")
        assert not echoes(client)
        assert proxy.tell(mode="pass")["hits"] == 1
        assert echoes(socket.create_connection(("127.0.0.1", port)))
    finally:
        proxy.stop()
        server.close()
