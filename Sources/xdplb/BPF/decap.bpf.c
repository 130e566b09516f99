// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Decapsulation on a backend: takes the outer header off tunnels from the load balancers.
 *
 * A packet of protocol 4 or 41 (RFC 2003, 4213, 2473), of either family, whose outer source is in a
 * trusted prefix and whose inner destination is one of our VIPs goes on as its inner packet;
 * everything else passes untouched, so that nobody else's tunnel ends here. Two programs over the
 * same maps: xdplb_decap_xdp before the kernel makes a packet of the frame, xdplb_decap_tc after.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MAX_VIPS 1024
#define MAX_TRUSTED 256
#define IP_FRAGMENT_MASK 0x3fff
/* Up to here the headers are read. */
#define HEADERS (sizeof(struct ethhdr) + 2 * sizeof(struct ipv6hdr))

/* Index of a per-CPU counter. */
enum decap_verdict {
	DECAPSULATED,
	NOT_TUNNELLED, /* no IP in IP */
	UNTRUSTED,     /* the outer source is in no trusted prefix */
	NOT_VIP,       /* the inner destination is none of the VIPs */
	MALFORMED,     /* a header contradicts the frame */
	DECAP_VERDICTS,
};

/* The family comes first, so that no prefix of one covers addresses of the other. */
struct address {
	__u32 family; /* 4 or 6 */
	__be32 word[4]; /* IPv4: the first, the others are 0 */
};

struct trusted_prefix {
	__u32 length; /* bits, those of the family included */
	struct address network;
};

/* What a tunnel is made of. */
struct tunnel {
	__u32 outer_size;
	__be16 outer_type; /* as in the Ethernet header */
	__be16 inner_type;
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
	__type(key, struct address);
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

static __always_inline void set_ipv4(struct address *address, __be32 value)
{
	address->family = 4;
	address->word[0] = value;
	address->word[1] = address->word[2] = address->word[3] = 0;
}

static __always_inline void set_ipv6(struct address *address, const struct in6_addr *value)
{
	address->family = 6;
	__builtin_memcpy(address->word, value, sizeof(address->word));
}

/*
 * The rest of judge(): the inner packet, of which the outer one has `room` bytes. Load balancers
 * send what they got, so its length may be anything that fits.
 */
static __always_inline enum decap_verdict judge_inner(void *packet, void *end, __u32 room,
						      __u8 protocol, struct trusted_prefix *source,
						      struct tunnel *tunnel)
{
	struct address destination;

	if (protocol == IPPROTO_IPIP) {
		struct iphdr *inner = packet;

		if ((void *)(inner + 1) > end || inner->version != 4 || inner->ihl < 5)
			return MALFORMED;
		__u32 length = bpf_ntohs(inner->tot_len);

		if (length < sizeof(*inner) || length > room)
			return MALFORMED;
		set_ipv4(&destination, inner->daddr);
		tunnel->inner_type = bpf_htons(ETH_P_IP);
	} else {
		struct ipv6hdr *inner = packet;

		if ((void *)(inner + 1) > end || inner->version != 6 ||
		    sizeof(*inner) + bpf_ntohs(inner->payload_len) > room)
			return MALFORMED;
		set_ipv6(&destination, &inner->daddr);
		tunnel->inner_type = bpf_htons(ETH_P_IPV6);
	}
	if (!bpf_map_lookup_elem(&decap_trusted, source))
		return UNTRUSTED;
	if (!bpf_map_lookup_elem(&decap_vips, &destination))
		return NOT_VIP;
	return DECAPSULATED;
}

/*
 * Whether the frame is a tunnel that ends here; `end` and `data` as the verifier knows them. Load
 * balancers send no options or extension headers, and no fragments that they could avoid.
 */
static __always_inline enum decap_verdict judge(void *data, void *end, struct tunnel *tunnel)
{
	struct ethhdr *ethernet = data;
	struct trusted_prefix source;

	if ((void *)(ethernet + 1) > end)
		return NOT_TUNNELLED;
	tunnel->outer_type = ethernet->h_proto;
	if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *outer = (void *)(ethernet + 1);

		if ((void *)(outer + 1) > end ||
		    (outer->protocol != IPPROTO_IPIP && outer->protocol != IPPROTO_IPV6))
			return NOT_TUNNELLED;
		__u32 length = bpf_ntohs(outer->tot_len);

		if (outer->version != 4 || outer->ihl != 5 || length < sizeof(*outer) ||
		    (outer->frag_off & bpf_htons(IP_FRAGMENT_MASK)))
			return MALFORMED;
		source.length = 32 + 32;
		set_ipv4(&source.network, outer->saddr);
		tunnel->outer_size = sizeof(*outer);
		return judge_inner(outer + 1, end, length - sizeof(*outer), outer->protocol, &source,
				   tunnel);
	}
	if (ethernet->h_proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *outer = (void *)(ethernet + 1);

		if ((void *)(outer + 1) > end ||
		    (outer->nexthdr != IPPROTO_IPIP && outer->nexthdr != IPPROTO_IPV6))
			return NOT_TUNNELLED;
		if (outer->version != 6)
			return MALFORMED;
		source.length = 32 + 128;
		set_ipv6(&source.network, &outer->saddr);
		tunnel->outer_size = sizeof(*outer);
		return judge_inner(outer + 1, end, bpf_ntohs(outer->payload_len), outer->nexthdr,
				   &source, tunnel);
	}
	return NOT_TUNNELLED;
}

SEC("xdp")
int xdplb_decap_xdp(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	struct tunnel tunnel = {};
	enum decap_verdict verdict = judge(data, end, &tunnel);
	struct ethhdr ethernet;

	if (verdict != DECAPSULATED) {
		count(verdict);
		return XDP_PASS;
	}
	__builtin_memcpy(&ethernet, data, sizeof(ethernet));
	ethernet.h_proto = tunnel.inner_type;
	if (bpf_xdp_adjust_head(context, tunnel.outer_size)) {
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

/*
 * Takes the outer header off. Where the families differ, the kernel first makes it one of the inner
 * family, of that family's size: this is how it learns what it has (helpers that tell it without
 * that are younger than Linux 6.1).
 */
static __always_inline bool strip(struct __sk_buff *context, const struct tunnel *tunnel)
{
	__s32 size = tunnel->outer_size;

	if (tunnel->inner_type != tunnel->outer_type) {
		if (bpf_skb_change_proto(context, tunnel->inner_type, 0))
			return false;
		size = tunnel->inner_type == bpf_htons(ETH_P_IP) ? sizeof(struct iphdr) :
								    sizeof(struct ipv6hdr);
		if (bpf_skb_store_bytes(context, offsetof(struct ethhdr, h_proto),
					&tunnel->inner_type, sizeof(tunnel->inner_type), 0))
			return false;
	}
	return bpf_skb_adjust_room(context, -size, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO) == 0;
}

SEC("tc")
int xdplb_decap_tc(struct __sk_buff *context)
{
	/* The headers may lie outside the linear part; what is not there judge() misses. */
	bpf_skb_pull_data(context, context->len < HEADERS ? context->len : HEADERS);

	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	struct tunnel tunnel = {};
	enum decap_verdict verdict = judge(data, end, &tunnel);

	if (verdict != DECAPSULATED) {
		count(verdict);
		return TC_ACT_OK;
	}
	if (!strip(context, &tunnel)) {
		count(MALFORMED);
		return TC_ACT_SHOT;
	}
	count(DECAPSULATED);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
