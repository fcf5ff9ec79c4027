"""A WSGI application on the server of Python's own library: what a Flask or Django service sees.

    wsgi_service.py [PORT]        prints "listening PORT" once it accepts

Answers every request with JSON: the `HTTP_` variables of its environment, in which WSGI folds names
of headers, so that `X-Auth-User` and `x_auth_user` are one, and joins repeated ones with commas.
"""

import json
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server


def application(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    seen = {name: value for name, value in environ.items() if name.startswith("HTTP_")}
    body = json.dumps(seen).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


class Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing: the answer holds all there is to know."""


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    server = make_server("127.0.0.1", port, application, handler_class=Silent)
    print("listening", server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
