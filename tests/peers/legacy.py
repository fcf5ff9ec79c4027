"""A legacy HTTP/1.1 service that tells what reached it: the last hop of the tests.

    legacy.py [PORT | unix:PATH]        prints "listening PORT" (or the path) once it accepts

Every path answers any method with JSON: method, path, headers as received (a list of pairs), the
environment that CGI and WSGI fold them into, request trailers, body length and SHA-256, and which
connection and which request on it this was. Some paths add something:

    /status/NNN       answers with this status (204 and 304 without a body)
    /set?Name=value   sets these response headers, also repeated ones
    /slow?ms=N        waits before it answers
    /chunked          answers in chunks
    /trailers         answers in chunks with the trailers X-Checksum and X-Done
    /bytes/N          answers with N zero bytes
    /close            closes the connection after the answer, and says so
    /drop             closes the connection without an answer
"""

import hashlib
import itertools
import json
import os
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

BLOCK = 64 * 1024
connections = itertools.count(1)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = BLOCK

    def setup(self) -> None:
        # A Unix socket has no Nagle to disable.
        self.disable_nagle_algorithm = not isinstance(self.server, UnixServer)
        super().setup()
        self.connection_number = next(connections)
        self.request_number = 0

    def answer(self) -> None:
        self.request_number += 1
        url = urlsplit(self.path)
        first, _, argument = url.path[1:].partition("/")
        query = parse_qsl(url.query)
        length, digest, trailers = self.read_body()

        if first == "slow":
            time.sleep(int(dict(query).get("ms", "0")) / 1000)
        if first == "drop":
            self.close_connection = True
            return
        if first == "bytes":
            self.send_zeros(int(argument))
            return

        seen = {
            "method": self.command,
            "path": self.path,
            "version": self.request_version,
            "headers": self.headers.items(),
            "environ": self.folded(),
            "trailers": trailers,
            "length": length,
            "sha256": digest,
            "connection": self.connection_number,
            "request": self.request_number,
        }
        body = json.dumps(seen).encode() + b"\n"
        self.send_response(int(argument) if first == "status" else 200)
        self.send_header("Content-Type", "application/json")
        if first == "set":
            for name, value in query:
                self.send_header(name, value)
        if first == "close":
            self.send_header("Connection", "close")
        if first in ("chunked", "trailers"):
            self.send_chunks(body, with_trailers=first == "trailers")
        else:
            self.send_whole(body, bodyless=first == "status" and argument in ("204", "304"))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def handle_expect_100(self) -> bool:
        accepted = super().handle_expect_100()
        self.wfile.flush()
        return accepted

    # Reading

    def read_body(self) -> tuple[int, str, list[list[str]]]:
        length, digest = 0, hashlib.sha256()
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                length += self.hash_exactly(size, digest)
                self.rfile.readline()
            trailers = []
            while line := self.rfile.readline().rstrip(b"\r\n"):
                name, _, value = line.decode("latin-1").partition(":")
                trailers.append([name, value.strip()])
            return length, digest.hexdigest(), trailers
        length = self.hash_exactly(int(self.headers.get("Content-Length", "0")), digest)
        return length, digest.hexdigest(), []

    def hash_exactly(self, size: int, digest: "hashlib._Hash") -> int:
        left = size
        while left:
            block = self.rfile.read(min(left, BLOCK))
            if not block:
                raise ConnectionError("the request body ended early")
            digest.update(block)
            left -= len(block)
        return size

    def folded(self) -> dict[str, str]:
        environ: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.upper().replace("-", "_")
            key = key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else "HTTP_" + key
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ

    # Writing

    def send_whole(self, body: bytes, bodyless: bool) -> None:
        if not bodyless:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not bodyless and self.command != "HEAD":
            self.wfile.write(body)

    def send_chunks(self, body: bytes, with_trailers: bool) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        if with_trailers:
            self.send_header("Trailer", "X-Checksum, X-Done")
        self.end_headers()
        if self.command == "HEAD":
            return
        for start in range(0, len(body), 100):
            part = body[start : start + 100]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
        self.wfile.write(b"0\r\n")
        if with_trailers:
            self.wfile.write(b"X-Checksum: %s\r\n" % hashlib.sha256(body).hexdigest().encode())
            self.wfile.write(b"X-Done: yes\r\n")
        self.wfile.write(b"\r\n")

    def send_zeros(self, count: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(count))
        self.end_headers()
        block = bytes(BLOCK)
        while count and self.command != "HEAD":
            count -= self.wfile.write(block[:count])

    def log_message(self, *_: object) -> None:
        """Says nothing: the answer holds all there is to know."""


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 1024


def main() -> None:
    where = sys.argv[1] if len(sys.argv) > 1 else "0"
    if where.startswith("unix:"):
        path = where.removeprefix("unix:")
        if os.path.exists(path):
            os.unlink(path)
        server: socketserver.BaseServer = UnixServer(path, Handler)
    else:
        server = TcpServer(("127.0.0.1", int(where)), Handler)
    print("listening", server.server_address[1] if isinstance(server, TcpServer) else path, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
