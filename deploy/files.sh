# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# What is installed, and where; sourced by install and uninstall.

binary=/usr/bin/xdplb
configuration=/etc/xdplb/xdplb.yaml
state=/var/lib/xdplb
# What tune has changed, for its --undo: root's alone, as root acts on it. Gone with a restart of the
# host, like the changes.
tuned=/run/xdplb-tune
unit=/usr/lib/systemd/system/xdplb.service
# Further settings of the unit.
additions=/usr/lib/systemd/system/xdplb.service.d
users=/usr/lib/sysusers.d/xdplb.conf
library=/usr/lib/xdplb
documents=/usr/share/doc/xdplb

# Whether systemd runs here: in an image that is being built it does not.
systemd_runs() { [[ -d /run/systemd/system ]]; }

fail() {
    printf '%s: error: %s\n' "${0##*/}" "$1" >&2
    exit 3
}

needs_root() { ((EUID == 0)) || fail "needs root: run it by sudo"; }
