"""A WebSocket service over plain HTTP/1.1.

    ws_service.py [PORT]                prints "listening PORT" once it accepts

It sends every message back as it came, except these texts:

    headers             answers with the handshake's path and headers (a list of pairs) as JSON
    ping                pings the client, answers "ponged" when the pong has come
    close CODE REASON   closes the connection with this code and reason
"""

import json
import sys

from websockets.sync.server import ServerConnection, serve

LARGEST_MESSAGE = 16 << 20
SUBPROTOCOL = "sidegate.test"


def talk(connection: ServerConnection) -> None:
    for message in connection:
        if message == "headers":
            request = connection.request
            connection.send(json.dumps({"path": request.path, "headers": list(request.headers.raw_items())}))
        elif message == "ping":
            connection.ping(b"from the service").wait(timeout=10)
            connection.send("ponged")
        elif isinstance(message, str) and message.startswith("close "):
            _, code, reason = message.split(" ", 2)
            connection.close(int(code), reason)
            return
        else:
            connection.send(message)


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with serve(talk, "127.0.0.1", port, max_size=LARGEST_MESSAGE, subprotocols=[SUBPROTOCOL]) as server:
        print("listening", server.socket.getsockname()[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
