#!/bin/sh
# Writes src/types (or the folder given) from proto/*.proto. The options are those that src/index.ts loads with.
set -eu
cd "$(dirname "$0")"
exec node_modules/.bin/proto-loader-gen-types --longs=Number --enums=String --defaults --oneofs \
  --grpcLib=@grpc/grpc-js --importFileExtension=.js --targetFileExtension=.ts --includeComments \
  -I proto --outDir "${1:-src/types}" tunnel.proto control.proto
