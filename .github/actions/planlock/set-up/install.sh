#!/usr/bin/env bash
# Puts planlock on the PATH of the steps that follow. A runner that has it keeps what it has.
set -euo pipefail

say() { echo "planlock set-up: $*"; }
die() { echo "planlock set-up: $*" >&2; exit 1; }

if command -v planlock >/dev/null; then
  say "$(planlock --version) is here already"
  exit
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
  || die "Python 3.11 or newer is needed; add actions/setup-python before this step"
wanted=$SOURCE
if [ -f pyproject.toml ] && grep -qx 'name = "planlock"' pyproject.toml; then wanted=.; fi
folder=$RUNNER_TEMP/planlock
python3 -m venv "$folder"
"$folder/bin/python" -m pip install -q --disable-pip-version-check "$wanted"
echo "$folder/bin" >>"$GITHUB_PATH"
say "$("$folder/bin/planlock" --version)"
