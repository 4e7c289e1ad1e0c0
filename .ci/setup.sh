#!/bin/sh
# Brings .venv to the locks that are named as arguments: .ci/setup.sh requirements.txt [tests/requirements.txt]
#
# Invariant: a stamp `.venv/.done-<checksum>` exists only in an environment that holds exactly those locks, so that a call that
# finds its stamp does nothing and needs no network. An install that was killed leaves `.venv/.busy`, and the next call starts
# afresh: a half-written package looks installed to every installer.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

stamp() { echo ".venv/.done-$(cat "$@" | cksum | tr ' ' -)"; }
if [ -f "$(stamp "$@")" ] && [ ! -e .venv/.busy ] && recent .venv/bin/python; then exit 0; fi

if [ -e .venv/.busy ]; then
    if kill -0 "$(cat .venv/.busy)" 2>/dev/null; then
        say "Another set-up of .venv is under way (process $(cat .venv/.busy)). Wait for it, or remove .venv."
        exit 1
    fi
    say "setup: the last set-up was interrupted, starting afresh"
    rm -rf .venv
fi

# uv takes 4 s of computing for what pip takes 45 s for. Who has none gets the one of the lock; where that has no wheel, or cannot
# reach what pip is set up to reach (a mirror, say), pip does it all.
if command -v uv >/dev/null 2>&1; then
    install() { uv pip install --quiet --python .venv/bin/python "$@"; }
    venv() { uv venv --quiet --python "$1" .venv; }
    usable() { recent .venv/bin/python; }
    with=uv
else
    pip() { .venv/bin/python -m pip install -qq --disable-pip-version-check --no-input --no-compile "$@"; }
    quickly() {
        sed -n '/^uv==/,/[^\\]$/p' tests/requirements.txt | pip --only-binary :all: -r /dev/stdin &&
            .venv/bin/python -m uv pip install --quiet --python .venv/bin/python "$@"
    }
    install() { quickly "$@" 2>/dev/null || pip "$@"; }
    venv() { "$1" -m venv .venv; }
    usable() { recent .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }
    with=pip
fi
# Compiled once and by all cores, not by the first process that comes to it; without the packages' own tests, and without what few or
# no modules are loaded of: half of all there is.
rarely='/(tests?|sklearn|mypy|mypyc|duckdb|networkx|altair|pygments/lexers|plotly/graph_objs)/'
compile() { .venv/bin/python -m compileall -qq -j 0 -x "$rarely" .venv/lib/python*/site-packages 2>/dev/null || true; }
# The assertions of the tests are rewritten once, by one process, and not by each that runs them (16 s of computing).
rewrite() { env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -m pytest --collect-only -qq >/dev/null 2>&1 || true; }

if ! usable; then
    python=
    for name in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if recent "$name"; then python=$name && break; fi
    done
    if [ -z "$python" ] && [ "$with" = uv ]; then python='>=3.11,<3.14'; fi  # uv knows other places, and can fetch one
    if [ -z "$python" ]; then
        say "opstore needs Python 3.11 or newer; none was found as ${PYTHON:-python3.13, python3.12, python3.11 or python3}."
        say "Install one, or name it: PYTHON=/path/to/python3.12 make run"
        exit 1
    fi
    say "setup: creating .venv ($python)"
    rm -rf .venv
    venv "$python" || {
        rm -rf .venv
        say "The environment could not be created. On Debian and Ubuntu, 'apt install python3-venv' adds what is missing."
        exit 1
    }
fi

echo $$ >.venv/.busy
say "setup: installing $* with $with (once; later runs need no network)"
if ! install -r "$1" ${2:+-r "$2"}; then
    # Nothing written (no network, say): the environment is as good as before, so keep it.
    if [ -z "$(find .venv/lib/*/site-packages -prune -newer .venv/.busy)" ]; then rm -f .venv/.busy; fi
    say "The installation failed. The lines above say why; run the same command again when it is mended."
    exit 1
fi
compile
if [ $# -gt 1 ]; then rewrite; fi
rm -f .venv/.done-* .venv/.busy
: >"$(stamp "$1")"  # who has both has the first: `make run` after `make test` installs nothing
: >"$(stamp "$@")"
