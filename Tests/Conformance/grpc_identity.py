"""One unary call over mTLS with grpcio: `grpc_identity.py ADDRESS CA CERTIFICATE KEY ROBOT`.

Prints `OK worker=NAME` or `STATUS details`. ROBOT `-` sends no robot metadata.
"""

import sys

import grpc


def main() -> None:
    address, authority, certificate, key, robot = sys.argv[1:]
    read = lambda path: open(path, "rb").read() if path != "-" else None
    credentials = grpc.ssl_channel_credentials(read(authority), read(key), read(certificate))
    with grpc.secure_channel(address, credentials) as channel:
        call = channel.unary_unary("/groot.v1.Inference/Infer", request_serializer=bytes, response_deserializer=bytes)
        try:
            answer, details = call.with_call(
                b"x" * 300_000, timeout=10, metadata=[] if robot == "-" else [("groot-robot", robot)]
            )
            headers = dict(details.initial_metadata())
            print(f"OK worker={headers.get('groot-worker')} bytes={len(answer)}")
        except grpc.RpcError as error:
            print(f"{error.code().name} {error.details()}")


main()
