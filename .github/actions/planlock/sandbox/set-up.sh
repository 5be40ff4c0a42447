#!/usr/bin/env bash
# Lets planlock confine commands here: installs bubblewrap, and on an Ubuntu that keeps user
# namespaces from ordinary programs (24.04, hosted runners) an AppArmor profile that allows them to
# bwrap alone. Needs root or sudo. A second run changes nothing.
#   --print-profile      only print that profile
#   --lift-restriction   where the profile does not help, let all programs make user namespaces
set -euo pipefail

restriction=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
profile=/etc/apparmor.d/planlock-bwrap
sysctl_file=/etc/sysctl.d/60-planlock-userns.conf

say() { echo "sandbox set-up: $*"; }
die() { echo "sandbox set-up: $*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif sudo -n true 2>/dev/null; then sudo -n "$@"
  else die "this needs root: sudo ${BASH_SOURCE[0]}"
  fi
}

# AppArmor knows a program by the file that is run, not by links to it.
profile_text() {
  local found path
  found=$(command -v bwrap) || die "bwrap is missing: apt-get install bubblewrap"
  path=$(readlink -f "$found")
  [[ $path =~ ^/[A-Za-z0-9/._+-]+$ ]] || die "$path would not be read as one path"
  cat <<PROFILE
# bubblewrap makes a user namespace, in which it takes rights away from what it starts.
abi <abi/4.0>,
include <tunables/global>

profile planlock-bwrap $path flags=(unconfined) {
  userns,
}
PROFILE
}

restricted() { [ "$(cat "$restriction" 2>/dev/null)" = 1 ]; }

# What planlock itself asks for first: namespaces of its own.
try_bwrap() {
  "$@" bwrap --unshare-user --unshare-pid --unshare-net --disable-userns --die-with-parent \
    --ro-bind / / --proc /proc --dev /dev true 2>&1
}

# The restriction does not bind root, who may be setting this up for others.
confines() {
  try_bwrap || return 1
  if [ "$(id -u)" = 0 ] && restricted; then
    try_bwrap setpriv --reuid=65534 --regid=65534 --clear-groups
  fi
}

install_bubblewrap() {
  if command -v bwrap >/dev/null; then return; fi
  command -v apt-get >/dev/null || die "bwrap is missing, and this is no Debian or Ubuntu: install bubblewrap"
  say "installing bubblewrap"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq bubblewrap >/dev/null
}

load_profile() {
  command -v apparmor_parser >/dev/null && [ -e /etc/apparmor.d/abi/4.0 ] || return 1
  say "allowing bwrap to make user namespaces: $profile"
  local text
  # Where a caller asks for the outcome, bash goes on after a failure.
  text=$(profile_text) || exit 1
  as_root tee "$profile" >/dev/null <<<"$text" || return 1
  as_root apparmor_parser --replace "$profile"
}

lift_restriction() {
  say "allowing all programs to make user namespaces: $sysctl_file"
  echo "kernel.apparmor_restrict_unprivileged_userns = 0" | as_root tee "$sysctl_file" >/dev/null
  as_root sysctl --quiet --load "$sysctl_file"
}

main() {
  local wide=
  case "$*" in
    --print-profile) profile_text; return ;;
    --lift-restriction) wide=yes ;;
    "") ;;
    *) die "takes --print-profile, --lift-restriction or nothing" ;;
  esac
  [ "$(uname -s)" = Linux ] || die "commands are confined on Linux only"
  install_bubblewrap
  if cause=$(confines); then say "bwrap confines: nothing else to do"; return; fi
  restricted || die "bwrap does not confine here: $cause"
  load_profile || say "no AppArmor profile can be loaded here"
  if ! cause=$(confines); then
    [ -n "$wide" ] || die "bwrap still does not confine: $cause
  by hand: planlock doctor --apparmor-profile | sudo tee $profile && sudo apparmor_parser --replace $profile
  or, for all programs of this machine: ${BASH_SOURCE[0]} --lift-restriction"
    lift_restriction
    cause=$(confines) || die "bwrap still does not confine: $cause"
  fi
  say "bwrap confines"
}

main "$@"
