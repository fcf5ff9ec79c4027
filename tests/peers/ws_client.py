"""Talks to ws_service.py through a front proxy and checks all that comes back.

    ws_client.py ws://HOST:PORT/PATH [NAME=VALUE ...]      the pairs are sent as handshake headers

Prints one JSON line: {"ok": true, "seen": ...}, where "seen" is the handshake that reached the service,
or {"ok": false, "error", ...}, with status, headers and body of a refused handshake. Exit status 0 or 1.
"""

import json
import os
import sys
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

TIMEOUT_SECONDS = 20
LARGEST_MESSAGE = 16 << 20
LARGE = os.urandom(1 << 20)
SUBPROTOCOL = "sidegate.test"


def check(connection: ClientConnection) -> Any:
    expect("subprotocol", connection.subprotocol, SUBPROTOCOL)
    seen = json.loads(ask(connection, "headers"))
    for message in ("gr\u00fc\u00dfe", "", b"\x00\xff", LARGE, LARGE.hex()[: 1 << 20]):
        expect("message sent back", ask(connection, message) == message, True)
    expect("pong to our ping", connection.ping(b"from the client").wait(TIMEOUT_SECONDS), True)
    expect("answer after its ping", ask(connection, "ping"), "ponged")
    try:
        ask(connection, "close 4321 as you wish")
    except ConnectionClosed as closed:
        expect("close code", closed.rcvd and closed.rcvd.code, 4321)
        expect("close reason", closed.rcvd and closed.rcvd.reason, "as you wish")
        return seen
    raise AssertionError("the service did not close the connection")


def ask(connection: ClientConnection, message: str | bytes) -> str | bytes:
    connection.send(message)
    return connection.recv(TIMEOUT_SECONDS)


def main() -> int:
    headers = [(name, value) for name, _, value in (pair.partition("=") for pair in sys.argv[2:])]
    settings = {"max_size": LARGEST_MESSAGE, "open_timeout": TIMEOUT_SECONDS, "proxy": None}
    try:
        with connect(sys.argv[1], additional_headers=headers, subprotocols=[SUBPROTOCOL], **settings) as connection:
            report(ok=True, seen=check(connection))
        return 0
    except InvalidStatus as refused:
        answer = refused.response
        body = (answer.body or b"").decode(errors="replace")
        report(ok=False, error=str(refused), status=answer.status_code, headers=list(answer.headers.raw_items()), body=body)
    except (AssertionError, OSError, WebSocketException) as error:
        report(ok=False, error=f"{type(error).__name__}: {error}")
    return 1


def expect(what: str, got: Any, wanted: Any) -> None:
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, wanted {wanted!r}")


def report(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    sys.exit(main())
