"""The gRPC border: the only place, with the client, that knows protobuf and gRPC."""
