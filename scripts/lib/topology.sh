# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The six nodes of the demo in network namespaces of their own: a switch, and on it a client, a load
# balancer and four backends. Sourced; every name begins with $LAB, so that several can run at once.
#
#   client 20.1.1.100    lb 20.1.1.1 (VIP 40.1.1.1)    b1..b4 20.1.1.10, .20, .30, .40

: "${LAB:=xdplb-demo}"
: "${LAB_DIR:=/tmp/$LAB}"
LAB_NODES=(switch client lb b1 b2 b3 b4)

lab_address() {
    case $1 in
    client) echo 20.1.1.100 ;;
    lb) echo 20.1.1.1 ;;
    b1) echo 20.1.1.10 ;;
    b2) echo 20.1.1.20 ;;
    b3) echo 20.1.1.30 ;;
    b4) echo 20.1.1.40 ;;
    esac
}

# in_node NODE COMMAND...: runs a command on a node.
in_node() {
    local node=$1
    shift
    ip netns exec "$LAB-$node" "$@"
}

# Segmentation, receive merging and checksum offload must be off on veth: the kernel hands over
# unfinished checksums otherwise, and nobody behind the load balancer finishes them.
lab_offloads_off() {
    ip netns exec "$1" ethtool -K "$2" tx off rx off tso off gso off gro off >/dev/null 2>&1 || true
}

# lab_connect NODE QUEUES: a veth pair from the node's eth0 to the switch. As in a real network, links
# that carry tunnels have room for the outer header of a full-size packet; the client's has not.
lab_connect() {
    local node=$1 queues=$2 mtu=1600
    [[ $node == client ]] && mtu=1500
    ip link add eth0 netns "$LAB-$node" numtxqueues "$queues" numrxqueues "$queues" type veth \
        peer name "to-$node" netns "$LAB-switch" numtxqueues "$queues" numrxqueues "$queues"
    lab_offloads_off "$LAB-$node" eth0
    lab_offloads_off "$LAB-switch" "to-$node"
    ip -n "$LAB-switch" link set "to-$node" mtu $mtu master switch up
    ip -n "$LAB-$node" link set eth0 mtu $mtu up
    ip -n "$LAB-$node" address add "$(lab_address "$node")/24" dev eth0
}

lab_nginx() {
    local node=$1 dir=$LAB_DIR/$1
    mkdir -p "$dir/www" "$dir/tmp"
    cat >"$dir/nginx.conf" <<END
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/error.log;
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path $dir/tmp; proxy_temp_path $dir/tmp; fastcgi_temp_path $dir/tmp;
    uwsgi_temp_path $dir/tmp; scgi_temp_path $dir/tmp;
    default_type text/html;
    server {
        listen 80;
        listen [::]:80;
        root $dir/www;
        add_header backend $node;
        location = /name { default_type text/plain; return 200 "$node\n"; }
        location = /client { default_type text/plain; return 200 "\$remote_addr\n"; }
        location = /slow { limit_rate 4m; alias $LAB_DIR/large; }
        location = /large { alias $LAB_DIR/large; }
    }
}
END
    printf '<!doctype html><title>%s</title><h1>%s</h1><p>A small page from backend %s at %s.</p>\n' \
        "$node" "$node" "$node" "$(lab_address "$node")" >"$dir/www/index.html"
    in_node "$node" nginx -c "$dir/nginx.conf" -p "$dir" 2>/dev/null
}

# lab_up [QUEUES]: makes the nodes and starts nginx on the backends.
lab_up() {
    local queues=${1:-1} node
    mkdir -p "$LAB_DIR"
    for node in "${LAB_NODES[@]}"; do
        ip netns add "$LAB-$node"
        ip -n "$LAB-$node" link set lo up
    done
    ip -n "$LAB-switch" link add switch type bridge
    ip -n "$LAB-switch" link set switch up
    for node in client lb b1 b2 b3 b4; do lab_connect "$node" "$queues"; done
    ip -n "$LAB-client" route add 40.1.1.1 via 20.1.1.1
    head -c $((24 << 20)) /dev/urandom >"$LAB_DIR/large"
    for node in b1 b2 b3 b4; do lab_nginx "$node"; done
}

# lab_down: removes the nodes, and ends what runs on them and nothing else.
lab_down() {
    local node pid
    for node in "${LAB_NODES[@]}"; do
        [[ -e /run/netns/$LAB-$node ]] || continue
        for pid in $(ip netns pids "$LAB-$node" 2>/dev/null); do
            kill "$pid" 2>/dev/null || true
        done
    done
    for node in "${LAB_NODES[@]}"; do
        [[ -e /run/netns/$LAB-$node ]] || continue
        wait_until 5 lab_is_empty "$node" || for pid in $(ip netns pids "$LAB-$node"); do
            kill -9 "$pid" 2>/dev/null || true
        done
        ip netns delete "$LAB-$node" 2>/dev/null || true
    done
    rm -rf "$LAB_DIR"
}

lab_is_empty() { [[ -z $(ip netns pids "$LAB-$1" 2>/dev/null) ]]; }

# wait_until SECONDS COMMAND...: repeats a command until it succeeds; fails when the time is over.
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.05
    done
}
