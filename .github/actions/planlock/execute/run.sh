#!/usr/bin/env bash
# Hands the runner's key to planlock by a file that nobody else can read and that does not stay.
set -euo pipefail

case $COMMAND in
  execute | propose) ;;
  *) echo "planlock: the command is execute or propose" >&2; exit 2 ;;
esac
[ -n "$RUNNER_KEY" ] || {
  echo "planlock: the secret PLANLOCK_RUNNER_KEY is empty; see planlock doctor --github" >&2
  exit 2
}
umask 077
folder=$(mktemp -d "${RUNNER_TEMP:-/tmp}/planlock-key.XXXXXX")
trap 'rm -rf "$folder"' EXIT
printf '%s\n' "$RUNNER_KEY" >"$folder/key"
unset RUNNER_KEY
PLANLOCK_RUNNER_KEY=$folder/key planlock github "$COMMAND"
