// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The steering program: is this frame ours?
 *
 * Sends to the AF_XDP socket of its queue what a service is offered at, and what a backend of a
 * SNAT service answers to a pool address; everything else goes to the kernel, untouched. Decides
 * by addresses, ports and protocol alone and judges nothing: that is the pipeline's work, which
 * also counts. Without a socket behind the queue the frame goes to the kernel as well (fail open).
 * Steering.decide in DataPlane is the mirror of this file.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steer_maps.h"

#define IP_FRAGMENT_MASK 0x3fff

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, STEER_MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_MAX_SERVICES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct steer_endpoint);
	__type(value, __u8);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_MAX_POOL_ADDRESSES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u8[16]);
	__type(value, struct steer_ports);
} pool SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_MAX_BACKENDS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct steer_endpoint);
	__type(value, __u8);
} backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STEER_VERDICTS);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

static __always_inline int count(enum steer_verdict verdict, int action)
{
	__u32 key = verdict;
	__u64 *counter = bpf_map_lookup_elem(&verdicts, &key);

	if (counter)
		(*counter)++;
	return action;
}

static __always_inline void endpoint_ipv4(struct steer_endpoint *endpoint, __be32 address,
					  __be16 port, __u8 protocol)
{
	__builtin_memset(endpoint, 0, sizeof(*endpoint));
	endpoint->address[10] = 0xff;
	endpoint->address[11] = 0xff;
	__builtin_memcpy(&endpoint->address[12], &address, 4);
	endpoint->port = port;
	endpoint->protocol = protocol;
}

static __always_inline int is_service(struct steer_endpoint *to)
{
	__be16 port = to->port;
	int found;

	if (bpf_map_lookup_elem(&services, to))
		return 1;
	to->port = 0;
	found = bpf_map_lookup_elem(&services, to) != 0;
	to->port = port;
	return found;
}

static __always_inline int is_reply(const struct steer_endpoint *from,
				    const struct steer_endpoint *to)
{
	const struct steer_ports *ports = bpf_map_lookup_elem(&pool, to->address);
	__u16 port = bpf_ntohs(to->port);

	if (!ports)
		return 0;
	if ((port < ports->first[0] || port > ports->last[0]) &&
	    (port < ports->first[1] || port > ports->last[1]))
		return 0;
	return bpf_map_lookup_elem(&backends, from) != 0;
}

SEC("xdp")
int xdplb_steer(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = (void *)(ethernet + 1);
	struct steer_endpoint from, to;
	__u32 queue = context->rx_queue_index;
	__be16 *ports;

	if ((void *)(ip + 1) > end)
		return count(STEER_PASS, XDP_PASS);
	if (ethernet->h_proto != bpf_htons(ETH_P_IP) || ip->version != 4 || ip->ihl < 5)
		return count(STEER_PASS, XDP_PASS);
	if (ip->frag_off & bpf_htons(IP_FRAGMENT_MASK))
		return count(STEER_PASS, XDP_PASS);
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return count(STEER_PASS, XDP_PASS);
	ports = (void *)ip + ip->ihl * 4;
	/* Eight bytes: the shorter of the two headers. */
	if ((void *)(ports + 4) > end)
		return count(STEER_PASS, XDP_PASS);

	endpoint_ipv4(&from, ip->saddr, ports[0], ip->protocol);
	endpoint_ipv4(&to, ip->daddr, ports[1], ip->protocol);
	if (!is_service(&to) && !is_reply(&from, &to))
		return count(STEER_PASS, XDP_PASS);
	if (!bpf_map_lookup_elem(&sockets, &queue))
		return count(STEER_NO_SOCKET, XDP_PASS);
	count(STEER_REDIRECT, 0);
	return bpf_redirect_map(&sockets, queue, XDP_PASS);
}

char _license[] SEC("license") = "Dual BSD/GPL";
