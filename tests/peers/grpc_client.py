"""Calls every method of grpc_service.py through a front proxy and checks all that comes back.

    grpc_client.py HOST:PORT [NAME=VALUE ...]      the pairs are sent as request metadata

Prints one JSON line: {"ok": true, "seen": ...}, where "seen" is the metadata that reached the service,
or {"ok": false, "method", "error", ...} with gRPC status, details and trailers. Exit status 0 or 1.
"""

import json
import queue
import sys
from typing import Any

import grpc

SERVICE = "/sidegate.test.Peer/"
LARGE = bytes(range(256)) * 4096  # 1 MiB
TIMEOUT_SECONDS = 20

Metadata = list[tuple[str, str]]


def check_echo(channel: grpc.Channel, metadata: Metadata) -> None:
    for message in (b"", b"hello", LARGE):
        reply, call = channel.unary_unary(SERVICE + "Echo").with_call(message, TIMEOUT_SECONDS, metadata)
        expect("echoed message", reply == message, True)
        expect("leading metadata", dict(call.initial_metadata()).get("x-leading"), "first")
        expect("trailing metadata", dict(call.trailing_metadata()).get("x-trailing"), "last")
        expect("binary trailing metadata", dict(call.trailing_metadata()).get("x-trailing-bin"), b"\x00\xff")


def check_count(channel: grpc.Channel, metadata: Metadata) -> None:
    call = channel.unary_stream(SERVICE + "Count")(b"100", TIMEOUT_SECONDS, metadata)
    expect("counted", [int(message) for message in call], list(range(100)))
    expect("status", call.code(), grpc.StatusCode.OK)


def check_chat(channel: grpc.Channel, metadata: Metadata) -> None:
    # Each message is sent only when the one before has come back: nobody on the way may collect them.
    outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    call = channel.stream_stream(SERVICE + "Chat")(iter(outgoing.get, None), TIMEOUT_SECONDS, metadata)
    try:
        for message in (b"one", b"two", LARGE, b"four"):
            outgoing.put(message)
            expect("reply in the conversation", next(call) == message, True)
    finally:
        outgoing.put(None)
    expect("messages after the conversation", list(call), [])
    expect("trailing metadata", dict(call.trailing_metadata()).get("x-trailing"), "last")


def check_fail(channel: grpc.Channel, metadata: Metadata) -> None:
    try:
        channel.unary_unary(SERVICE + "Fail")(b"", TIMEOUT_SECONDS, metadata)
    except grpc.RpcError as error:
        expect("status", error.code(), grpc.StatusCode.FAILED_PRECONDITION)
        expect("details", error.details(), "failed as asked: 100% \u00fc")
        expect("trailing metadata", dict(error.trailing_metadata()).get("x-failure"), "on-purpose")
        expect("binary trailing metadata", dict(error.trailing_metadata()).get("x-failure-bin"), b"\x00\xff")
    else:
        raise AssertionError("the call that must fail did not")


def main() -> int:
    target = sys.argv[1]
    metadata = [(name, value) for name, _, value in (pair.partition("=") for pair in sys.argv[2:])]
    method = "Seen"
    # No proxy from the environment, and no second try: a refusal must show as it came.
    options = [("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0)]
    with grpc.insecure_channel(target, options) as channel:
        try:
            seen = json.loads(channel.unary_unary(SERVICE + "Seen")(b"", TIMEOUT_SECONDS, metadata))
            for method, check in CHECKS.items():
                check(channel, metadata)
        except grpc.RpcError as error:
            report(ok=False, method=method, error=error.code().name, details=error.details(), trailers=pairs(error))
            return 1
        except AssertionError as error:
            report(ok=False, method=method, error=str(error))
            return 1
    report(ok=True, seen=seen)
    return 0


CHECKS = {"Echo": check_echo, "Count": check_count, "Chat": check_chat, "Fail": check_fail}


def expect(what: str, got: Any, wanted: Any) -> None:
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, wanted {wanted!r}")


def pairs(error: grpc.RpcError) -> list[list[str]]:
    return [[name, str(value)] for name, value in error.trailing_metadata() or ()]


def report(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    sys.exit(main())
