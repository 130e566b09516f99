# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A routed network in network namespaces: both families, three routers, and links whose MTU may
# differ. Sourced; replaces the demo's topology of topology.sh, whose names it keeps.
#
#   client -- edge -- core -- rack -- b1..b4        links: client, transit, fabric, backends
#                       |
#                      lb                           link: lb
#
# Networks are 10.N.0.0/24 and 2001:db8:N::/64: 1 client, 2 transit, 3 lb, 4 fabric, 5 backends. The
# VIPs and the SNAT pool are routed to the load balancer.

# shellcheck source=scripts/lib/topology.sh
source "$(dirname "${BASH_SOURCE[0]}")/topology.sh"

# For lab_down and scripts/lab.
# shellcheck disable=SC2034
LAB_NODES=(client edge core rack lb b1 b2 b3 b4)
ROUTED_VIPS=(203.0.113.10 2001:db8:f::10)
ROUTED_POOL=(198.51.100.20 2001:db8:99::20)

lab_address() {
    case $1 in
    lb) echo 10.3.0.10 ;;
    b?) echo "10.5.0.1${1#b}" ;;
    esac
}

# routed_link NODE INTERFACE NODE INTERFACE: a link without addresses.
routed_link() {
    local one=$LAB-$1 two=$LAB-$3
    ip link add "$2" netns "$one" numtxqueues "$QUEUES" numrxqueues "$QUEUES" type veth \
        peer name "$4" netns "$two" numtxqueues "$QUEUES" numrxqueues "$QUEUES"
    lab_offloads_off "$one" "$2"
    lab_offloads_off "$two" "$4"
    ip -n "$one" link set "$2" up
    ip -n "$two" link set "$4" up
}

# routed_address NODE INTERFACE NETWORK HOST: an address of each family.
routed_address() {
    ip -n "$LAB-$1" address add "10.$3.0.$4/24" dev "$2"
    ip -n "$LAB-$1" address add "2001:db8:$3::$4/64" dev "$2" nodad
}

# routed_default NODE NETWORK [OPTION...]: the default route goes to .1 of a network.
routed_default() {
    local node=$LAB-$1 network=$2
    shift 2
    ip -n "$node" route replace default via "10.$network.0.1" "$@"
    ip -n "$node" route replace default via "2001:db8:$network::1" "$@"
}

# routed_node NODE: a namespace whose settings fit its part. Routers and backends send as many ICMP
# errors as there are reasons for, or the limits would decide the tests.
routed_node() {
    ip netns add "$LAB-$1"
    local settings=(net.ipv6.conf.{all,default}.accept_dad=0 net.ipv6.conf.{all,default}.accept_ra=0
        net.ipv4.conf.{all,default}.rp_filter=0 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0)
    case $1 in
    edge | core | rack) settings+=(net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1) ;;
    esac
    in_node "$1" sysctl -qw "${settings[@]}"
    ip -n "$LAB-$1" link set lo up
}

# routed_mtu LINK MTU: of both ends.
routed_mtu() {
    local node
    case $1 in
    client) set -- "$2" client eth0 edge to-client ;;
    transit) set -- "$2" edge to-core core to-edge ;;
    lb) set -- "$2" core to-lb lb eth0 ;;
    fabric) set -- "$2" core to-rack rack to-core ;;
    backends)
        local ends=()
        for node in b1 b2 b3 b4; do ends+=(rack "to-$node" "$node" eth0); done
        set -- "$2" "${ends[@]}" rack rack
        ;;
    esac
    local mtu=$1
    shift
    while (($#)); do
        ip -n "$LAB-$1" link set "$2" mtu "$mtu"
        shift 2
    done
}

# lab_up [QUEUES]: makes the nodes and starts nginx on the backends. Links that carry tunnels have
# room for the outer header, those to the client have not.
lab_up() {
    QUEUES=${1:-1}
    local node address
    mkdir -p "$LAB_DIR"
    for node in "${LAB_NODES[@]}"; do routed_node "$node"; done
    routed_link client eth0 edge to-client
    routed_link edge to-core core to-edge
    routed_link core to-lb lb eth0
    routed_link core to-rack rack to-core
    ip -n "$LAB-rack" link add rack type bridge
    ip -n "$LAB-rack" link set rack up
    for node in b1 b2 b3 b4; do
        routed_link rack "to-$node" "$node" eth0
        ip -n "$LAB-rack" link set "to-$node" master rack
        routed_address "$node" eth0 5 "1${node#b}"
    done
    for node in lb fabric backends; do routed_mtu "$node" 1600; done

    routed_address client eth0 1 100
    routed_address edge to-client 1 1
    routed_address edge to-core 2 2
    routed_address core to-edge 2 1
    routed_address core to-lb 3 1
    routed_address lb eth0 3 10
    routed_address core to-rack 4 1
    routed_address rack to-core 4 2
    routed_address rack rack 5 1

    routed_default client 1
    routed_default edge 2
    routed_default lb 3
    routed_default rack 4
    # The room for outer headers is not for what backends send.
    for node in b1 b2 b3 b4; do routed_default "$node" 5 mtu 1500; done
    ip -n "$LAB-core" route add 10.1.0.0/24 via 10.2.0.2
    ip -n "$LAB-core" route add 2001:db8:1::/64 via 2001:db8:2::2
    ip -n "$LAB-core" route add 10.5.0.0/24 via 10.4.0.2
    ip -n "$LAB-core" route add 2001:db8:5::/64 via 2001:db8:4::2
    for address in "${ROUTED_VIPS[@]}" "${ROUTED_POOL[@]}"; do
        case $address in
        *:*) ip -n "$LAB-core" route add "$address" via 2001:db8:3::10 ;;
        *) ip -n "$LAB-core" route add "$address" via 10.3.0.10 ;;
        esac
    done

    head -c $((10 << 20)) /dev/urandom >"$LAB_DIR/large"
    for node in b1 b2 b3 b4; do lab_nginx "$node"; done
}
