// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Decapsulation on a backend: takes the outer header off tunnels from the load balancers.
 *
 * An IPv4 packet of protocol 4 (RFC 2003) whose outer source is in a trusted prefix and whose
 * inner destination is one of our VIPs goes on as its inner packet; everything else passes
 * untouched, so that nobody else's tunnel ends here. Two programs over the same maps: xdplb_decap_xdp
 * before the kernel makes a packet of the frame, xdplb_decap_tc after.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MAX_VIPS 1024
#define MAX_TRUSTED 256
#define IP_FRAGMENT_MASK 0x3fff

/* Index of a per-CPU counter. */
enum decap_verdict {
	DECAPSULATED,
	NOT_TUNNELLED, /* no IPv4 in IPv4 */
	UNTRUSTED,     /* the outer source is in no trusted prefix */
	NOT_VIP,       /* the inner destination is none of the VIPs */
	MALFORMED,     /* a header contradicts the frame */
	DECAP_VERDICTS,
};

struct trusted_prefix {
	__u32 length;
	__be32 network;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MAX_TRUSTED);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct trusted_prefix);
	__type(value, __u8);
} decap_trusted SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_VIPS);
	__type(key, __be32);
	__type(value, __u8);
} decap_vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DECAP_VERDICTS);
	__type(key, __u32);
	__type(value, __u64);
} decap_counts SEC(".maps");

static __always_inline void count(enum decap_verdict verdict)
{
	__u32 key = verdict;
	__u64 *counter = bpf_map_lookup_elem(&decap_counts, &key);

	if (counter)
		(*counter)++;
}

/* Whether the frame is a tunnel that ends here; `end` and `data` as the verifier knows them. */
static __always_inline enum decap_verdict judge(void *data, void *end)
{
	struct ethhdr *ethernet = data;
	struct iphdr *outer = (void *)(ethernet + 1);
	struct iphdr *inner = outer + 1;

	if ((void *)(outer + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP) ||
	    outer->protocol != IPPROTO_IPIP)
		return NOT_TUNNELLED;
	/* Load balancers send no options, and no fragments that they could avoid. */
	if (outer->version != 4 || outer->ihl != 5 ||
	    (outer->frag_off & bpf_htons(IP_FRAGMENT_MASK)))
		return MALFORMED;
	if ((void *)(inner + 1) > end || inner->version != 4 || inner->ihl < 5)
		return MALFORMED;
	/* The outer packet must hold the inner one, and the frame the outer one. */
	__u32 outer_length = bpf_ntohs(outer->tot_len);
	__u32 inner_length = bpf_ntohs(inner->tot_len);

	if (outer_length < sizeof(*outer) + inner_length || inner_length < sizeof(*inner))
		return MALFORMED;

	struct trusted_prefix source = { .length = 32, .network = outer->saddr };

	if (!bpf_map_lookup_elem(&decap_trusted, &source))
		return UNTRUSTED;
	if (!bpf_map_lookup_elem(&decap_vips, &inner->daddr))
		return NOT_VIP;
	return DECAPSULATED;
}

SEC("xdp")
int xdplb_decap_xdp(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	enum decap_verdict verdict = judge(data, end);
	struct ethhdr ethernet;

	if (verdict != DECAPSULATED) {
		count(verdict);
		return XDP_PASS;
	}
	__builtin_memcpy(&ethernet, data, sizeof(ethernet));
	if (bpf_xdp_adjust_head(context, sizeof(struct iphdr))) {
		count(MALFORMED);
		return XDP_DROP;
	}
	data = (void *)(long)context->data;
	end = (void *)(long)context->data_end;
	if (data + sizeof(ethernet) > end) {
		count(MALFORMED);
		return XDP_DROP;
	}
	__builtin_memcpy(data, &ethernet, sizeof(ethernet));
	count(DECAPSULATED);
	return XDP_PASS;
}

SEC("tc")
int xdplb_decap_tc(struct __sk_buff *context)
{
	/* The headers may lie outside the linear part. */
	if (bpf_skb_pull_data(context, sizeof(struct ethhdr) + 2 * sizeof(struct iphdr)) &&
	    context->len < sizeof(struct ethhdr) + 2 * sizeof(struct iphdr)) {
		count(NOT_TUNNELLED);
		return TC_ACT_OK;
	}

	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	enum decap_verdict verdict = judge(data, end);

	if (verdict != DECAPSULATED) {
		count(verdict);
		return TC_ACT_OK;
	}
	if (bpf_skb_adjust_room(context, -(int)sizeof(struct iphdr), BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO)) {
		count(MALFORMED);
		return TC_ACT_SHOT;
	}
	count(DECAPSULATED);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
