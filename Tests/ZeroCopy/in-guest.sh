#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs inside the guest: in-guest.sh QUEUES CASE…   dut0 is the NIC under test, peer0 in namespace
# "peer" its other end. Prints a line for each check; exit 0 when all of them held.
# shellcheck disable=SC2317 # the functions are called by name
queues=$1
shift
failed=0
config=/tmp/xdplb.yaml
socket=/run/xdplb.sock
dut=$(cat /sys/class/net/dut0/address)
pid=

check() { # what, command…: told, and counted when it fails
    local what=$1
    shift
    if "$@" >/tmp/check.log 2>&1; then
        echo "ok      $what: $(tail -n 1 /tmp/check.log)"
    else
        echo "FAILED  $what"
        cat /tmp/check.log
        tail -n 5 /tmp/xdplb.log
        failed=1
        return 1
    fi
}

wait_for() { # seconds, command…
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.1
    done
}

configure() { # lines of the interface, its bind mode among them
    cat >"$config" <<END
version: 1
interfaces:
  - {name: dut0, next_hop: {ipv4: 10.99.0.2}, rx_ring: 1024, tx_ring: 1024, fill_ring: 2048, completion_ring: 1024, $1}
admin: {socket: $socket}
http: {listen: none}
connections: {entries_per_worker: 8192}
memory: {chunks_per_queue: 4096}
services:
  - {name: zc, vips: [40.1.1.1], ports: [80/udp], mode: ${2:-dsr}, backends: [20.1.1.10, 20.1.1.20, 20.1.1.30]}
END
}

answers() { /xdplb status --admin-socket "$socket" >/tmp/status.txt 2>&1; }
is_up() { [[ $(cat /sys/class/net/dut0/carrier 2>/dev/null) == 1 ]]; }
is_attached() { ip link show dut0 | grep -q prog/xdp; }
is_detached() { ! is_attached; }
# One that has ended is a zombie until it is waited for.
has_ended() { ! kill -0 "$pid" 2>/dev/null || grep -q '^State:.Z' "/proc/$pid/status"; }

start() {
    /xdplb run --config "$config" --state-directory /tmp/state >/tmp/xdplb.log 2>&1 &
    pid=$!
    wait_for 60 answers || return 1
    # Attaching resets some NICs.
    wait_for 60 is_up && grep -o 'bind_mode=[a-z]*.*' /tmp/xdplb.log | tail -n 1
}

stop() {
    kill "-${1:-TERM}" "$pid"
    wait_for 30 has_ended
    wait "$pid" 2>/dev/null
    wait_for 30 is_detached && echo "nothing is attached"
}

# The mode as the kernel says, of every queue.
is_zerocopy() {
    /xdplb status -o json --admin-socket "$socket" >/tmp/status.json || return 1
    grep -E -o '"bind_mode" ?: ?"[a-z]*"' /tmp/status.json | sort | uniq -c | tee /tmp/modes
    ! grep -qv zerocopy /tmp/modes && grep -q zerocopy /tmp/modes
}

peer() { ip netns exec peer /peer peer0 "$dut" "$@"; }

set_mode() { /xdplb mode set zc "$1" --admin-socket "$socket"; }

link_flaps() {
    ip link set dut0 down
    ip link set dut0 up
    wait_for 30 is_up && echo "carrier is back"
}

refuses() { # words of the message…: the daemon ends by itself, says them, and leaves nothing
    /xdplb run --config "$config" --state-directory /tmp/state2 >/tmp/refused.log 2>&1 &
    pid=$!
    wait_for 60 has_ended || { kill "$pid"; echo "it did not refuse"; return 1; }
    wait "$pid" && { echo "it ended with 0"; return 1; }
    cat /tmp/refused.log
    local word
    for word in "$@"; do
        grep -q -- "$word" /tmp/refused.log || { echo "it does not say '$word'"; return 1; }
    done
    grep -m 1 error /tmp/refused.log | cut -c 1-400
}

doctor_says() { # words of it…: backends do not answer here, so its exit code says nothing
    /xdplb doctor --config "$config" --admin-socket "$socket" >/tmp/doctor.log 2>&1
    local word
    for word in "$@"; do
        grep -q -- "$word" /tmp/doctor.log || { cat /tmp/doctor.log; return 1; }
    done
    grep -m 1 -- "$1" /tmp/doctor.log
}

run_serves() {
    configure "bind_mode: zerocopy"
    check "the doctor finds zero-copy by a trial" doctor_says "native XDP, zero-copy"
    check "nothing is attached after it" is_detached
    check "starts in zero-copy" start || return
    check "the doctor finds it running" doctor_says "running with native XDP, zerocopy mode"
    check "the kernel says zero-copy for each of $queues queues" is_zerocopy
    check "dsr, every payload" peer dsr 400 200
    check "dsr, 1514 bytes with the outer header" peer dsr 100 1480
    check "mode is changed live" set_mode snat
    check "snat both ways, every payload" peer snat 400 200
    check "snat, 1514 bytes" peer snat 100 1500
    check "link down and up" link_flaps
    check "snat after it" peer snat 100 200
    check "SIGKILL leaves nothing" stop KILL
    check "restarts in zero-copy" start || return
    check "the kernel says zero-copy again" is_zerocopy
    check "dsr after it" peer dsr 200 200
    # Another one must not disturb the first.
    first=$pid
    check "a second instance is refused" refuses "dut0"
    pid=$first
    check "and the first still serves" peer dsr 100 200
    check "stops cleanly" stop
}

run_refuses() {
    configure "bind_mode: zerocopy, attach_mode: generic"
    check "zero-copy behind a generic program is refused" refuses "generic"
    check "nothing is attached after it" is_detached
    configure "bind_mode: zerocopy, chunk_size: 2048"
    ip link set dut0 mtu 1900
    check "the doctor says it before" doctor_says "hold frames of MTU 1770"
    check "an MTU over the chunk is refused" refuses "2048"
    check "nothing is attached after it" is_detached
    ip link set dut0 mtu 1500
}

run_small_chunks() {
    configure "bind_mode: zerocopy, chunk_size: 2048"
    check "2048-byte chunks on igb, which would cut frames, are refused" refuses "2048"
}

run_no_platform() {
    configure "bind_mode: zerocopy"
    check "the doctor says it before" doctor_says "zero-copy was refused (EINVAL)" "VIRTIO_F_ACCESS_PLATFORM"
    check "virtio without ACCESS_PLATFORM is refused" refuses "zerocopy"
    check "nothing is attached after it" is_detached
    configure "bind_mode: auto"
    check "auto falls back" start || return
    check "and serves" peer dsr 100 200
    check "stops cleanly" stop
}

run_grown() {
    configure "bind_mode: zerocopy"
    check "the doctor says it before" doctor_says "virtio adds" "ethtool -L dut0 combined"
    check "queues that the driver adds at attach are refused" refuses "queues"
    check "nothing is attached after it" is_detached
}

# What the host's stack and the peer's would ask for by ARP.
ip neighbour replace 10.99.0.2 lladdr "$(ip netns exec peer cat /sys/class/net/peer0/address)" dev dut0 nud permanent
for case in "$@"; do "run_$case"; done
exit $failed
