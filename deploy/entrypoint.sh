#!/bin/sh
# api, gateway or agent. `exec`: the process gets the container's signals itself and can drain.
set -eu
case "${1:-}" in
  api | gateway | agent) exec node "/opt/sallyport/$1/dist/main.js" ;;
  *) exec "$@" ;;
esac
