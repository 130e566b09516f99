#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs in the fresh Debian under its own systemd: the unit as it is, on a veth pair.
# shellcheck disable=SC2317 # functions are called through check
set -euo pipefail
cd /source
# shellcheck source=Tests/Deploy/checks.sh
source ./checks.sh

property() { systemctl show xdplb --property "$1" --value; }
status_is() { [[ $(property StatusText) == "$1" ]] || { property StatusText; return 1; }; }
as_member_of() { setpriv --reuid=65534 --regid="$1" --clear-groups "${@:2}"; }
is_attached() { ip link show dev eth0 | grep -q prog/xdp; }
is_detached() { ! is_attached; }
add_service=(xdplb service update --vip 203.0.113.10:80/tcp --backends 10.1.1.11 --mode dsr)
# MESSAGE_ID of started.
started() { journalctl --no-pager --output=json MESSAGE_ID=84bcf1c6f98c4f558f997c757f65a3e9; }

echo "--- under systemd"
deploy/install --binary /source/xdplb --interface eth0 >/dev/null
check "it starts, which it says itself" systemctl start xdplb
check "it is active" says 0 active systemctl is-active xdplb
pid=$(property MainPID)
check "it runs as its own user" test "$(stat -c '%U:%G' "/proc/$pid")" = xdplb:xdplb
check "with four capabilities, before Linux 6.12 with five" grep -qE "^CapEff:	000000[8c]000007000" "/proc/$pid/status"
check "its program is attached" is_attached
check "the status says how it goes" soon status_is "0 services, 0 pps"
check "members of xdplb may look" as_member_of xdplb xdplb status
check "  and not change" says 3 "may not change anything" as_member_of xdplb "${add_service[@]}"
check "others may not even look" says 3 "may not read the admin API" as_member_of nogroup xdplb status
check "members of xdplb-admin may change" as_member_of xdplb-admin "${add_service[@]}"
check "the status follows" soon status_is "1 service, 1 down, 0 pps"
check "the journal has the event with its fields" says 0 '"XDPLB_INTERFACE":"eth0"' started
check "what is kept is the user's" test "$(stat -c '%U %a' /var/lib/xdplb/hash.key)" = "xdplb 600"

mkdir -p /run/systemd/system/xdplb.service.d
printf '[Service]\nWatchdogSec=2\n' >/run/systemd/system/xdplb.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart xdplb
pid=$(property MainPID)
# Longer than the watchdog waits: who is fed lives.
sleep 5
check "while it works, the watchdog leaves it alone" test "$(property MainPID) $(property NRestarts)" = "$pid 0"
kill -STOP "$pid"
restarted() { [[ $(property NRestarts) == 1 && $(property ActiveState) == active ]]; }
check "when it stands still, systemd starts it anew" soon restarted
check "  and its program is attached again" is_attached

check "it reloads its file" systemctl reload xdplb
cp -p /etc/xdplb/xdplb.yaml /etc/xdplb/good.yaml
echo "wieght: 7" >>/etc/xdplb/xdplb.yaml
check "a bad file fails the reload" says 1 "" systemctl reload xdplb
check "  and what ran runs on" says 0 active systemctl is-active xdplb
mv /etc/xdplb/good.yaml /etc/xdplb/xdplb.yaml

check "it stops in order" systemctl stop xdplb
check "  with success" says 0 success property Result
check "  and takes its program off" is_detached
echo "wieght: 7" >>/etc/xdplb/xdplb.yaml
check "with a bad file it does not start" says 1 "failed" systemctl start xdplb
check "  and the journal says where and why" says 0 "unknown key 'wieght'" journalctl --no-pager --unit xdplb
check "  and the status too" says 0 "unknown key 'wieght'" property StatusText
check "  and it is not tried again, which would not mend it" test "$(property NRestarts) $(property ExecMainStatus)" = "0 2"
sed -i '/^wieght/d' /etc/xdplb/xdplb.yaml
check "  a mended one starts at once" systemctl start xdplb
systemctl stop xdplb

systemctl enable xdplb 2>/dev/null
check "uninstalling disables it" says 0 "removed user xdplb" /usr/lib/xdplb/uninstall --purge
check "  and leaves no link to it" test ! -L /etc/systemd/system/multi-user.target.wants/xdplb.service
exit "$failed"
