#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs in a fresh Debian, by scripts/test-deploy: installs, tunes and removes, and looks at what is
# there afterwards. The tree is at /source, with the binary beside it.
# shellcheck disable=SC2317 # functions are called through check
set -euo pipefail
cd /source
# shellcheck source=Tests/Deploy/checks.sh
source ./checks.sh

# Every file with mode, owner and content; backups of the user database are its own business.
picture() {
    local kept=(-xdev \( -path /source -o -path /tmp -o -path /run \) -prune -o
        ! -name '*-' ! -name .pwd.lock ! -path / ! -path /etc)
    find / "${kept[@]}" -printf '%p %m %u:%g\n' | sort
    find / "${kept[@]}" -type f -print0 | sort -z | xargs -0 md5sum
}

same_as() { diff "$1" <(picture); }

# with COMMAND LINE ARGUMENTS…: runs with a command replaced by one that prints these lines.
with() {
    local command=$1 lines=$2
    shift 2
    mkdir -p "$work/bin"
    printf '#!/bin/sh\ncat <<END\n%s\nEND\n' "$lines" >"$work/bin/$command"
    chmod 755 "$work/bin/$command"
    local status=0
    PATH=$work/bin:$PATH "$@" || status=$?
    rm -rf "${work:?}/bin"
    return "$status"
}

install() { deploy/install --binary /source/xdplb "$@"; }

echo "--- refusals"
picture >"$work/before"
check "an old kernel is refused" says 3 "Linux 6.1 or later; this is 5.10.0-30-amd64" with uname 5.10.0-30-amd64 install
library=$(readlink -f /usr/lib/*/libxdp.so.1)
mv "$library" "$library.away"
check "a missing library is refused, with the package that has it" says 3 "apt-get install --no-install-recommends libxdp1" install
mv "$library.away" "$library"
check "a binary that needs the toolchain is refused" says 3 "--static-swift-stdlib" \
    with ldd "	libswiftCore.so => /opt/swift/usr/lib/swift/linux/libswiftCore.so (0x0)" install
check "a missing binary is refused" says 3 "swift build -c release" deploy/install --binary /source/none
check "all that is missing is told at once" says 3 "the binary /source/none" \
    with uname 5.10.0 deploy/install --binary /source/none
check "  the kernel as well" grep -q "Linux 6.1 or later" "$work/says"
check "another user is refused" says 3 "needs root" setpriv --reuid=65534 deploy/install --binary /source/xdplb
check "refusals changed nothing" same_as "$work/before"

echo "--- install"
check "it installs" says 0 "/etc/xdplb/xdplb.yaml, to begin with" install --interface lb0
picture >"$work/installed"
check "a second time there is nothing to do" says 0 "all of it is there already" install --interface lb0
check "the second time changed nothing" same_as "$work/installed"
check "the binary runs" says 0 "Linux $(uname -r)" xdplb version
check "user and groups are there" getent passwd xdplb
check "  xdplb-admin too" getent group xdplb-admin
check "the state directory is the user's" test "$(stat -c '%U:%G %a' /var/lib/xdplb)" = "xdplb:xdplb 750"
check "others may not read the configuration" says 1 "Permission denied" \
    setpriv --reuid=65534 --regid=65534 --clear-groups cat /etc/xdplb/xdplb.yaml
ip link add lb0 numrxqueues 2 numtxqueues 2 type veth peer name lb1 numrxqueues 2 numtxqueues 2
ip link set lb0 up
check "the daemon's user finds it good, with the host in view" says 0 ": good" \
    setpriv --reuid=xdplb --regid=xdplb --clear-groups xdplb check --strict /etc/xdplb/xdplb.yaml
check "the whole example is good" says 0 ": good" xdplb check --offline /usr/share/doc/xdplb/xdplb.yaml
check "systemd finds the unit good" is_silent systemd-analyze verify xdplb.service
check "  and exposed by 3.0 at most" systemd-analyze security --offline=true --threshold=30 --no-pager xdplb.service
sed -i 's/name: lb0/name: lb9/' /etc/xdplb/xdplb.yaml
echo "// older" >>/usr/bin/xdplb
check "an update replaces the binary" says 0 "/usr/bin/xdplb" install
check "  and leaves the configuration alone" grep -q "name: lb9" /etc/xdplb/xdplb.yaml
echo "wieght: 7" >>/etc/xdplb/xdplb.yaml
check "a configuration that the version refuses is warned about" says 0 "unknown key 'wieght'" install

check "on an older kernel the unit gets a fifth capability" says 0 "xdplb.service.d/perfmon.conf" with uname 6.1.0-47-amd64 install
check "  and is good with it" is_silent systemd-analyze verify xdplb.service

echo "--- tune"
tuner=(/usr/lib/xdplb/tune lb0)
settings() { ethtool -l lb0; ethtool -k lb0; cat /proc/irq/*/smp_affinity_list; }
# Interrupts and CPUs as a NIC has them: veth has none.
mount -t tmpfs tmpfs /sys/class/net
mkdir -p /sys/class/net/lb0/device/msi_irqs
echo 2-3 >/sys/class/net/lb0/device/local_cpulist
touch /sys/class/net/lb0/device/msi_irqs/{40,41,42}
printf ' 40: 0 0 PCI-MSI lb0-config\n 41: 0 0 PCI-MSI lb0-TxRx-0\n 42: 0 0 PCI-MSI lb0-TxRx-1\n' >"$work/interrupts"
mount --bind "$work/interrupts" /proc/interrupts
mount -t tmpfs tmpfs /proc/irq
mkdir /proc/irq/{40,41,42}
for number in 40 41 42; do echo 0-3 >/proc/irq/$number/smp_affinity_list; done
ethtool -K lb0 gro on
settings >"$work/settings"
check "a trial tells what it would do" says 0 "channels rx           2 -> 1 (not done)" "${tuner[@]}" --channels 1 --dry-run
check "  and does nothing" diff "$work/settings" <(settings)
check "channels: old and new value" says 0 "channels rx           2 -> 1" "${tuner[@]}" --channels 1
check "the driver has it" test "$(ethtool -l lb0 | awk '$1 == "RX:" { print $2 }' | tail -n 1)" = 1
check "merging is off" says 0 "generic-receive-offload: off" ethtool -k lb0
check "interrupts of queues are spread over the NIC's CPUs, others left alone" \
    test "$(cat /proc/irq/{40,41,42}/smp_affinity_list | tr '\n' ' ')" = "0-3 2 3 "
check "what the driver does not tell is said" says 0 "ring     -            left alone: the driver does not tell them" "${tuner[@]}" --channels 1
check "a second time all is as it should be" says 0 "0 changed, 0 refused" "${tuner[@]}" --channels 1
cp /bin/sleep "$work/irqbalance"
"$work/irqbalance" 60 &
check "irqbalance is to leave the interrupts alone" says 0 '"--banirq=41 --banirq=42"' "${tuner[@]}" --channels 1
kill $!
check "more channels than there are is said" says 0 "5 are more than the driver has: 2" "${tuner[@]}" --channels 5
check "purging while a NIC is tuned is refused" says 3 "tune lb0 --undo" deploy/uninstall --purge
record=/run/xdplb-tune/tune-lb0.undo
check "what is to be put back is kept where only root can write" test "$(stat -c '%U %a' /run/xdplb-tune)" = "root 700"
check "  and not in the folder of the daemon's user" test -z "$(ls /var/lib/xdplb)"
cp "$record" "$work/record"
for line in 'irq ../../../etc/passwd 1' 'irq 41 1;reboot' 'channels lb1 2' 'offload tso on' 'ring rx -1' 'reboot now 1'; do
    echo "$line" >>"$record"
    settings >"$work/tuned"
    check "a record with '$line' is refused" says 3 "has a line that tune does not write" "${tuner[@]}" --undo
    check "  and nothing is changed" diff "$work/tuned" <(settings)
    cp "$work/record" "$record"
done
mv /run/xdplb-tune "$work/moved"
ln -s /var/lib/xdplb /run/xdplb-tune
check "a folder that somebody else could have made is refused" says 3 "is not a folder of root's alone" "${tuner[@]}" --channels 1
rm /run/xdplb-tune
mv "$work/moved" /run/xdplb-tune
check "the first values come back, not those in between" says 0 "put back" "${tuner[@]}" --undo
check "  all of them" diff "$work/settings" <(settings)
check "nothing is left to put back" says 0 "nothing to put back" "${tuner[@]}" --undo
"${tuner[@]}" >/dev/null
sed -i 's/^boot .*/boot another/' "$record"
check "after a restart of the host there is nothing to put back" says 0 "the host was restarted" "${tuner[@]}" --undo
check "  and no record is left" test ! -e /run/xdplb-tune
check "an unknown interface is refused" says 3 "there is no interface lb7" /usr/lib/xdplb/tune lb7
check "a wrong option is a usage error" says 2 "usage:" "${tuner[@]}" --chanels 1

echo "--- uninstall"
check "it uninstalls" says 0 "removed /usr/bin/xdplb" deploy/uninstall
check "configuration and state are kept" test -e /etc/xdplb/xdplb.yaml -a -d /var/lib/xdplb
check "nothing else is" test -z "$(find / -xdev -path /source -prune -o -name '*xdplb*' -print | grep -vE '^/(etc|var/lib)/xdplb|^/proc')"
check "with --purge they go, and the user" says 0 "removed user xdplb" deploy/uninstall --purge
check "nothing is left" same_as "$work/before"
check "a second time there is nothing to do" says 0 "it is not installed" deploy/uninstall --purge

exit "$failed"
