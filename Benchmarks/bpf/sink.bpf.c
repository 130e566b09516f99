/* SPDX-License-Identifier: Apache-2.0 */
/* Count every frame by class and drop it. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "common.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SINK_NCTR);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} by_dst SEC(".maps"); /* indexed by the last octet of the outermost IPv4 destination */

static __always_inline void add(__u32 k, __u64 v)
{
	__u64 *p = bpf_map_lookup_elem(&counters, &k);
	if (p)
		*p += v;
}

SEC("xdp")
int sink(struct xdp_md *c)
{
	void *d = (void *)(long)c->data, *e = (void *)(long)c->data_end;
	struct ethhdr *eth = d;
	struct iphdr *ip = d + sizeof(*eth);
	add(SINK_TOTAL, 1);
	add(SINK_BYTES, (__u64)(e - d));
	if ((void *)(ip + 1) > e || eth->h_proto != bpf_htons(ETH_P_IP)) {
		add(SINK_OTHER, 1);
		return XDP_DROP;
	}
	add(ip->protocol == 4 ? SINK_IPIP : ip->protocol == 17 ? SINK_UDP :
	    ip->protocol == 6 ? SINK_TCP : SINK_OTHER, 1);
	__u32 k = bpf_ntohl(ip->daddr) & 255;
	__u64 *p = bpf_map_lookup_elem(&by_dst, &k);
	if (p)
		*p += 1;
	return XDP_DROP;
}

/* Count nothing, drop everything: the cheapest possible receiver. */
SEC("xdp")
int drop(struct xdp_md *c) { return XDP_DROP; }

/* Let everything through (only makes the device run its native XDP/NAPI path). */
SEC("xdp")
int pass(struct xdp_md *c) { return XDP_PASS; }

char _license[] SEC("license") = "GPL";
