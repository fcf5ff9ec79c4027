"""A gRPC service over cleartext HTTP/2, without generated code: messages are plain bytes.

    grpc_service.py [PORT]              prints "listening PORT" once it accepts

    /sidegate.test.Peer/Echo    unary: the same bytes back, with leading and trailing metadata
    /sidegate.test.Peer/Count   server streaming: b"3" gives b"0", b"1", b"2"
    /sidegate.test.Peer/Chat    bidirectional: every message back as it arrives
    /sidegate.test.Peer/Fail    FAILED_PRECONDITION with details and trailing metadata
    /sidegate.test.Peer/Seen    JSON: the metadata that reached the service, and the deadline
"""

import json
import sys
from collections.abc import Iterable, Iterator
from concurrent import futures

import grpc

SERVICE = "sidegate.test.Peer"
LARGEST_MESSAGE = 16 << 20


def echo(request: bytes, call: grpc.ServicerContext) -> bytes:
    call.send_initial_metadata([("x-leading", "first")])
    call.set_trailing_metadata([("x-trailing", "last"), ("x-trailing-bin", b"\x00\xff")])
    return request


def count(request: bytes, _: grpc.ServicerContext) -> Iterator[bytes]:
    for number in range(int(request)):
        yield str(number).encode()


def chat(requests: Iterable[bytes], call: grpc.ServicerContext) -> Iterator[bytes]:
    yield from requests
    call.set_trailing_metadata([("x-trailing", "last")])


def fail(_: bytes, call: grpc.ServicerContext) -> bytes:
    call.set_trailing_metadata([("x-failure", "on-purpose"), ("x-failure-bin", b"\x00\xff")])
    call.abort(grpc.StatusCode.FAILED_PRECONDITION, "failed as asked: 100% \u00fc")


def seen(_: bytes, call: grpc.ServicerContext) -> bytes:
    metadata = [[name, value if isinstance(value, str) else value.hex()] for name, value in call.invocation_metadata()]
    return json.dumps({"metadata": metadata, "seconds_left": call.time_remaining()}).encode()


METHODS = {
    "Echo": grpc.unary_unary_rpc_method_handler(echo),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Seen": grpc.unary_unary_rpc_method_handler(seen),
}


def main() -> None:
    port = sys.argv[1] if len(sys.argv) > 1 else "0"
    options = [("grpc.max_receive_message_length", LARGEST_MESSAGE), ("grpc.so_reuseport", 0)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=options)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, METHODS)])
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print("listening", port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
