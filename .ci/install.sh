#!/usr/bin/env bash
# Builds the packages, installs each with each Python given into an environment of its own, and tries the command there.
# Usage: .ci/install.sh [PYTHON...]
set -euo pipefail
checkout=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1

[ $# -gt 0 ] || set -- python3
"$1" -m venv "$work/build"
"$work/build/bin/pip" install --quiet build
"$work/build/bin/python" -m build --outdir "$work/dist" "$checkout" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }

for python in "$@"; do
    for package in "$work"/dist/*; do
        "$python" -m venv "$work/try"
        "$work/try/bin/pip" install --quiet "$package"
        (
            cd "$work"
            export PATH="$work/try/bin:$PATH"
            textsieve --version >/dev/null
            textsieve run "$checkout"/seeds/*.txt -o out --jobs 2 2>/dev/null
            textsieve restore out -o restored 2>/dev/null
            for seed in "$checkout"/seeds/*.txt; do
                cmp "$seed" "restored/$(basename "$seed")"
            done
            textsieve rules --check 2>/dev/null
            textsieve completion bash | bash -n
            test -s try/share/man/man1/textsieve.1
            python -c 'import filter, pathlib; assert (pathlib.Path(filter.__file__).parent / "py.typed").exists()'
            pip check >/dev/null
        )
        echo "$("$python" --version), $(basename "$package"): works"
        rm -rf "$work/try" "$work/out" "$work/restored"
    done
done
