#!/bin/sh
# Lints and type-checks the JavaScript of opstore/ with the tools that tests/front/package-lock.json pins.
#
# Invariant: a stamp `node_modules/.done-<checksum>` exists only beside exactly those tools, so a call that finds its stamp needs no
# network. `npm ci` begins by removing the folder, stamp and all. Without node or npm nothing is checked and a line says so; under
# .ci/run, which installs both, that is a failure.
set -eu
cd "$(dirname "$0")/.."

front=tests/front
stamp=$front/node_modules/.done-$(cksum <$front/package-lock.json | tr ' ' -)
skip() {
    echo "check: front end: SKIPPED, $1"
    exit ${OPSTORE_CI:+1}
}

for program in node npm; do
    command -v $program >/dev/null 2>&1 || skip "$program is not installed"
done
if [ ! -f "$stamp" ]; then
    echo "setup: installing the front end's tools with npm (once; later runs need no network)" >&2
    npm --prefix $front ci --silent --no-audit --no-fund || skip "its tools could not be installed"
    : >"$stamp"
fi

status=0
$front/node_modules/.bin/biome check --config-path=$front/lint.json --error-on-warnings --max-diagnostics=50 opstore $front || status=1
$front/node_modules/.bin/tsc --project $front || status=1
exit $status
