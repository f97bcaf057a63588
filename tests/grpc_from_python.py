"""A stock gRPC client that knows nothing but an address.

It learns the services, their methods and their messages by reflection, as grpcurl and its kin do,
and then appends, reads, looks up and asks for health. No file of this project is imported.

    python tests/grpc_from_python.py LOGGING_ADDRESS MESSAGES_ADDRESS
"""

import sys
import uuid

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

DEADLINE_SECONDS = 10


class Stranger:
    """Calls methods that reflection names."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = DescriptorPool(self.database)

    def services(self):
        return set(self.database.get_services())

    def call(self, service, method, **fields):
        """Calls a method; returns its answer, or the list of its answers if it streams."""
        described = self.pool.FindServiceByName(service).FindMethodByName(method)
        request = GetMessageClass(described.input_type)(**fields)
        answer = GetMessageClass(described.output_type)
        kind = self.channel.unary_stream if described.server_streaming else self.channel.unary_unary
        stub = kind(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        result = stub(request, timeout=DEADLINE_SECONDS)
        return list(result) if described.server_streaming else result

    def refused(self, service, method, requests):
        """How a unary method refuses these encoded requests: the status and what is stored."""
        stub = self.channel.stream_unary(f"/{service}/{method}")
        try:
            stub(iter(requests), timeout=DEADLINE_SECONDS)
            sys.exit(f"{method} took {len(requests)} requests")
        except grpc.RpcError as error:
            stored = dict(error.trailing_metadata()).get("oncelog-stored")
            return error.code(), stored

    def health(self, service):
        stub = health_pb2_grpc.HealthStub(self.channel)
        request = health_pb2.HealthCheckRequest(service=service)
        status = stub.Check(request, timeout=DEADLINE_SECONDS).status
        return health_pb2.HealthCheckResponse.ServingStatus.Name(status)

    def message(self, name, **fields):
        return GetMessageClass(self.pool.FindMessageTypeByName(name))(**fields)

    def enum_name(self, name, number):
        return self.pool.FindEnumTypeByName(name).values_by_number[number].name


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: found {found!r}, wanted {wanted!r}")
    print(f"ok: {what}")


def expect_refusals(server, service, method):
    """What is not one message within the limit is refused, and surely not stored."""
    for what, requests, wanted in (
        ("a request over the limit", [bytes(5 * 1024 * 1024)], "RESOURCE_EXHAUSTED"),
        ("two requests", [b"", b""], "UNIMPLEMENTED"),
        ("no request", [], "UNIMPLEMENTED"),
        ("what is no message", [b"\x0a\x80"], "INTERNAL"),
    ):
        found = server.refused(service, method, requests)
        expect(f"{method}: {what} is refused", found, (grpc.StatusCode[wanted], "no"))


def explore_logging(address):
    log = Stranger(address)
    service = "oncelog.v1.LoggingService"
    wanted = {service, "grpc.health.v1.Health"}
    expect("the services are listed", wanted & log.services(), wanted)
    for name in ("", service):
        expect(f"health of {name or 'the server'!r}", log.health(name), "SERVING")

    def append(body):
        fields = {"stream": "facade", "content_type": "text/plain; charset=utf-8"}
        message = log.message("oncelog.v1.Message", id=key, body=body, **fields)
        (receipt,) = log.call(service, "Append", messages=[message]).receipts
        return log.enum_name("oncelog.v1.Outcome", receipt.outcome), receipt.sequence

    key = uuid.uuid4().bytes
    expect("a message is stored", append(b"from Python"), ("OUTCOME_STORED", 1))
    expect("a repeat is a duplicate", append(b"from Python"), ("OUTCOME_DUPLICATE", 1))
    expect("another message is a conflict", append(b"else"), ("OUTCOME_CONFLICT", 0))

    for method in ("Append", "Read", "Lookup", "Status"):
        expect_refusals(log, service, method)

    chunks = log.call(service, "Read", after=0)
    read = [(stored.sequence, stored.message.body) for chunk in chunks for stored in chunk.messages]
    expect("the log is read", read, [(1, b"from Python")])
    found = log.call(service, "Lookup", id=key).message
    expect("the message is looked up", (found.sequence, found.message.id), (1, key))
    try:
        log.call(service, "Lookup", id=uuid.uuid4().bytes)
        sys.exit("an unknown id was found")
    except grpc.RpcError as error:
        expect("an unknown id is not found", error.code(), grpc.StatusCode.NOT_FOUND)


def explore_messages(address):
    messages = Stranger(address)
    service = "oncelog.v1.MessagesService"
    expect("the messages service is listed", service in messages.services(), True)
    expect("its health", messages.health(service), "SERVING")
    text = messages.call(service, "GetMessages").text
    expect("the messages service answers", text, "not implemented yet")
    expect_refusals(messages, service, "GetMessages")


if __name__ == "__main__":
    explore_logging(sys.argv[1])
    explore_messages(sys.argv[2])
