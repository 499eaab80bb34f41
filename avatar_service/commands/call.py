"""Owns `call`: a small gRPC client over server reflection. Knows no service by name and needs no stubs."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import click
import grpc
from avatar_client.channel import channel_options
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2 as _error_details  # noqa: F401 - registers what a status may carry
from google.rpc import status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from google.protobuf import any_pb2

_SHOWN_BYTES: Final = 48
_MAX_LINE_BYTES: Final = 32 * 1024 * 1024
_READ_BYTES: Final = 64 * 1024
_DETAILS_KEY: Final = "grpc-status-details-bin"

_Symbol: TypeAlias = Descriptor | EnumDescriptor | MethodDescriptor | ServiceDescriptor


@dataclass(frozen=True, slots=True)
class Request:
    """How to call.

    Attributes:
        data: one JSON message; ``@`` for JSON lines from stdin; ``None`` for an empty message.
        full: print long bytes in full.
        timeout_s: how long the whole call may last.
    """

    data: str | None = None
    full: bool = False
    timeout_s: float = 60.0


def run(target: str, symbol: str | None, request: Request) -> None:
    """List services, print a definition, or call a method; answers go to stdout.

    Raises:
        click.ClickException: with the server's status and its details, or with what is wrong with the request.
    """
    with grpc.insecure_channel(target, options=channel_options()) as plain:
        channel = grpc.intercept_channel(plain, _Deadline(request.timeout_s))
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        try:
            if symbol is None:
                click.echo("\n".join(sorted(database.get_services())))
            elif "/" in symbol:
                _call(channel, pool, _method(pool, symbol), request)
            else:
                click.echo(definition(_find(pool, symbol)))
        except grpc.RpcError as error:
            raise click.ClickException(_status_text(error)) from None


class _Deadline(grpc.StreamStreamClientInterceptor):
    """Gives every call a deadline, those of the reflection library too, which sets none."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(client_call_details._replace(timeout=self._timeout_s), request_iterator)


def _find(pool: DescriptorPool, name: str) -> _Symbol:
    for find in (pool.FindServiceByName, pool.FindMessageTypeByName, pool.FindEnumTypeByName):
        with contextlib.suppress(KeyError):
            return find(name)
    # A pool does not ask its database for methods, only for the service that has them.
    service, _, method = name.rpartition(".")
    with contextlib.suppress(KeyError):
        return pool.FindServiceByName(service).methods_by_name[method]
    message = f"the server knows no service, message, enum or method {name}"
    raise click.ClickException(message)


def _method(pool: DescriptorPool, path: str) -> MethodDescriptor:
    found = _find(pool, path.strip("/").replace("/", "."))
    if isinstance(found, MethodDescriptor):
        return found
    message = f"{path} is not a method"
    raise click.ClickException(message)


def definition(symbol: _Symbol) -> str:
    """Return ``symbol`` as it would be written in a .proto file, with full type names."""
    if isinstance(symbol, ServiceDescriptor):
        return _block(f"service {symbol.full_name}", [_rpc(method) for method in symbol.methods])
    if isinstance(symbol, EnumDescriptor):
        return _block(f"enum {symbol.full_name}", [f"{value.name} = {value.number};" for value in symbol.values])
    if isinstance(symbol, MethodDescriptor):
        return _rpc(symbol)
    lines: dict[str, str] = {}  # a oneof stands where its first field does
    for field in symbol.fields:
        oneof = field.containing_oneof
        if oneof is None:
            lines[field.name] = _field(field)
        elif oneof.name == f"_{field.name}":  # what `optional` becomes in a descriptor
            lines[field.name] = f"optional {_field(field)}"
        else:
            lines[oneof.name] = _block(f"oneof {oneof.name}", [_field(each) for each in oneof.fields])
    return _block(f"message {symbol.full_name}", list(lines.values()))


def _block(head: str, lines: list[str]) -> str:
    body = "".join(f"  {line}\n" for line in "\n".join(lines).splitlines())
    return f"{head} {{\n{body}}}" if body else f"{head} {{}}"


def _rpc(method: MethodDescriptor) -> str:
    sent = "stream " * method.client_streaming + method.input_type.full_name
    answered = "stream " * method.server_streaming + method.output_type.full_name
    return f"rpc {method.name}({sent}) returns ({answered});"


def _field(field: FieldDescriptor) -> str:
    entry = field.message_type
    if entry is not None and _is_map(field):
        kind = f"map<{', '.join(map(_kind, entry.fields))}>"
    else:
        kind = "repeated " * field.is_repeated + _kind(field)
    return f"{kind} {field.name} = {field.number};"


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _kind(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    return named.full_name if named is not None else _SCALARS[field.type]


_SCALARS: Final = {
    number: name.removeprefix("TYPE_").lower()
    for name, number in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}


def _call(channel: grpc.Channel, pool: DescriptorPool, method: MethodDescriptor, request: Request) -> None:
    request_type = message_factory.GetMessageClass(method.input_type)
    response_type = message_factory.GetMessageClass(method.output_type)
    requests = _Requests(request_type, pool, request.data)
    # On the wire the four kinds of call are one: a stream of requests may have one message, and so may the answer.
    invoke: grpc.StreamStreamMultiCallable[Message, Message] = channel.stream_stream(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=response_type.FromString,
    )
    call = invoke(iter(requests))
    requests.bind(call.cancel)
    try:
        for response in call:
            click.echo(_as_json(response, pool, full=request.full))
    except grpc.RpcError:
        if not requests.fault:
            raise
    if requests.fault:
        raise click.ClickException(requests.fault)


class _Requests:
    """Iterates the request messages in gRPC's thread, and keeps what was wrong with them for the caller's.

    Attributes:
        fault: one sentence; empty while all is well.
    """

    def __init__(self, kind: type[Message], pool: DescriptorPool, text: str | None) -> None:
        self._kind = kind
        self._pool = pool
        self._lines = _lines(sys.stdin.buffer) if text == "@" else iter([(text or "{}").encode()])
        self._cancel: Callable[[], object] | None = None
        self.fault = ""

    def bind(self, cancel: Callable[[], object]) -> None:
        """Have ``cancel`` called on a fault, also on one that was found already."""
        self._cancel = cancel
        if self.fault:
            cancel()

    def __iter__(self) -> Iterator[Message]:
        number = 1
        try:
            for line in self._lines:
                yield json_format.Parse(line, self._kind(), descriptor_pool=self._pool)
                number += 1
        except (json_format.ParseError, UnicodeDecodeError) as error:
            # Raised here it would be logged by gRPC and lost; ending here would look like all was said.
            self.fault = f"request {number}: {error}"
            if self._cancel:
                self._cancel()


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines that are not blank.

    Reads below the buffer: a thread that is still inside a buffered stdin when the interpreter ends kills it.
    """
    source = getattr(stream, "raw", stream)
    rest = b""
    while piece := source.read(_READ_BYTES):
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) > _MAX_LINE_BYTES:
            message = f"a line is longer than {_MAX_LINE_BYTES} bytes"
            raise json_format.ParseError(message)
        yield from filter(bytes.strip, whole)
    yield from filter(bytes.strip, [rest])


def _as_json(message: Message, pool: DescriptorPool, *, full: bool) -> str:
    shown = json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=pool)
    if not full:
        _shorten(shown, cast("Descriptor", message.DESCRIPTOR))
    return json.dumps(shown, ensure_ascii=False)


def _shorten(shown: dict[str, Any], kind: Descriptor) -> None:
    """Cut long bytes in ``shown``, the JSON form of a message of ``kind``, in place."""
    for field in kind.fields:
        value = shown.get(field.name)
        if value is None or _is_map(field):
            continue
        if field.type == FieldDescriptor.TYPE_BYTES:
            shown[field.name] = [_cut(each) for each in value] if field.is_repeated else _cut(value)
        elif field.message_type is not None:
            for each in value if field.is_repeated else [value]:
                if isinstance(each, dict):  # a well-known type such as Duration is a string in JSON
                    _shorten(each, field.message_type)


def _cut(encoded: str) -> str:
    size = len(encoded) * 3 // 4 - encoded.count("=")
    return encoded if size <= _SHOWN_BYTES else f"{encoded[: _SHOWN_BYTES * 4 // 3]}... ({size} bytes)"


def _status_text(error: grpc.RpcError) -> str:
    """Return code, message and decoded details of a failed call, one per line."""
    lines = [f"{error.code().name}: {error.details()}"]
    metadata = cast("tuple[tuple[str, bytes], ...]", error.trailing_metadata() or ())
    for key, value in metadata:
        if key == _DETAILS_KEY:
            try:
                status = status_pb2.Status.FromString(value)
            except DecodeError:
                continue  # a proxy's bytes: the plain status is still true
            lines += map(_detail_text, status.details)
    return "\n".join(lines)


def _detail_text(packed: any_pb2.Any) -> str:
    name = packed.type_url.rpartition("/")[2]
    try:
        shown = json_format.MessageToDict(packed, preserving_proto_field_name=True)
    except (TypeError, DecodeError):  # of a type that is not known here
        return f"  {name} ({len(packed.value)} bytes)"
    shown.pop("@type")
    return f"  {name} {json.dumps(shown, ensure_ascii=False)}"
