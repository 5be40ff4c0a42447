#!/usr/bin/env bash
# Lets planlock confine commands here: installs bubblewrap, and on an Ubuntu that keeps user
# namespaces from ordinary programs (24.04, hosted runners) an AppArmor profile that allows them.
# Needs root or sudo. A second run changes nothing.
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

profile_text() {
  cat <<'PROFILE'
# bubblewrap makes a user namespace, in which it takes rights away from what it starts.
abi <abi/4.0>,
include <tunables/global>

profile planlock-bwrap /usr/bin/bwrap flags=(unconfined) {
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
  profile_text | as_root tee "$profile" >/dev/null
  as_root apparmor_parser --replace "$profile"
}

lift_restriction() {
  say "allowing all programs to make user namespaces: $sysctl_file"
  echo "kernel.apparmor_restrict_unprivileged_userns = 0" | as_root tee "$sysctl_file" >/dev/null
  as_root sysctl --quiet --load "$sysctl_file"
}

main() {
  if [ "${1:-}" = --print-profile ]; then profile_text; return; fi
  [ "$#" = 0 ] || die "takes no arguments but --print-profile"
  [ "$(uname -s)" = Linux ] || die "commands are confined on Linux only"
  install_bubblewrap
  if cause=$(confines); then say "bwrap confines: nothing else to do"; return; fi
  restricted || die "bwrap does not confine here: $cause"
  load_profile || say "no AppArmor profile can be loaded here"
  confines >/dev/null || lift_restriction
  cause=$(confines) || die "bwrap still does not confine: $cause"
  say "bwrap confines"
}

main "$@"
