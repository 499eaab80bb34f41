#!/bin/sh
# Generates the Python stubs into the folder $1. Runs in the environment of $2 (grpcio-tools 1.76: protobuf 6.31 code,
# which imports without a warning under protobuf 6.31 to 7).
set -eu
out=$1
python=$2
cd "$(dirname "$0")"
PATH="$(dirname "$python"):$PATH" "$python" -m grpc_tools.protoc -I. --python_out="$out" --pyi_out="$out" avatar/v1/*.proto
PATH="$(dirname "$python"):$PATH" "$python" -m grpc_tools.protoc -I. --grpc_python_out="$out" --mypy_grpc_out="$out" avatar/v1/avatar_service.proto
touch "$out/avatar/__init__.py" "$out/avatar/v1/__init__.py"
