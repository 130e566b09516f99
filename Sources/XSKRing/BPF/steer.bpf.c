// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The steering program: is this frame ours?
 *
 * Sends to the AF_XDP socket of its queue what a service is offered at, what a backend of a SNAT
 * service answers to a pool address, and the ICMP messages about either; everything else goes to
 * the kernel, untouched. Decides by addresses, ports and protocols alone and judges nothing: that
 * is the pipeline's work, which also counts. Without a socket behind the queue the frame goes to
 * the kernel as well (fail open).
 *
 * Steering.decide in DataPlane is the mirror of this file, and says what is ours: a test gives
 * both the same frames. What differs is only that this one must satisfy the verifier.
 */
#include "steer_packet.h"

#define ICMP_UNREACHABLE 3
#define ICMP_FRAGMENTATION_NEEDED 4
#define ICMP_ECHO_REQUEST 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER_PROBLEM 12
#define ICMPV6_UNREACHABLE 1
#define ICMPV6_PACKET_TOO_BIG 2
#define ICMPV6_PARAMETER_PROBLEM 4
#define ICMPV6_ECHO_REQUEST 128

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, STEER_MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct steer_config);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, STEER_MAX_VIPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct steer_prefix);
	__type(value, __u32);
} vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_MAX_PORT_BLOCKS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct steer_port_block);
	__type(value, __u64);
} ports SEC(".maps");

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
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_MAX_BACKENDS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u8[16]);
	__type(value, __u8);
} tunnels SEC(".maps");

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

/* The number of the VIP or prefix around an address; NULL when there is none. */
static __always_inline const __u32 *find_vip(const __u8 *address)
{
	struct steer_prefix key = { .length = 128 };

	__builtin_memcpy(key.address, address, sizeof(key.address));
	return bpf_map_lookup_elem(&vips, &key);
}

static __always_inline int is_service(__u32 vip, const struct steer_endpoint *to)
{
	__u16 port = bpf_ntohs(to->port);
	struct steer_port_block key = {
		.vip = vip, .block = port / STEER_BLOCK_PORTS, .protocol = to->protocol,
	};
	const __u64 *bits = bpf_map_lookup_elem(&ports, &key);

	if (bits && *bits >> port % STEER_BLOCK_PORTS & 1)
		return 1;
	key.block = STEER_ANY_PORT;
	return bpf_map_lookup_elem(&ports, &key) != NULL;
}

static __always_inline int is_in_pool(const struct steer_ports *ranges, __u16 port)
{
	int found = 0;

	/* No early end: a branch for each range would multiply what the verifier has to follow. */
	for (int index = 0; index < STEER_PORT_RANGES; index++)
		found |= port >= ranges->first[index] && port <= ranges->last[index];
	return found;
}

/* Whether a SNAT backend sends to a SNAT address and port; `from` is lost. */
static __always_inline int is_reply(struct steer_endpoint *from, const struct steer_endpoint *to)
{
	const struct steer_ports *ranges = bpf_map_lookup_elem(&pool, to->address);
	__u16 port = bpf_ntohs(to->port);

	if (!ranges || !is_in_pool(ranges, port))
		return 0;
	if (bpf_map_lookup_elem(&backends, from))
		return 1;
	from->port = 0;
	return bpf_map_lookup_elem(&backends, from) != NULL;
}

/* A fragment has no ports, or no reliable ones: who sends it is enough. */
static __always_inline int is_reply_fragment(const struct packet *packet)
{
	return bpf_map_lookup_elem(&pool, packet->to.address) &&
	       bpf_map_lookup_elem(&backends, &packet->from);
}

static __always_inline int is_transport(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

/* Reads what follows the IP header; 0 unless all of it is in the frame. */
static __always_inline int read_transport(const struct frame *frame, const struct packet *packet,
					  union transport *header)
{
	if (packet->is_ipv6)
		return READ_AT(frame, packet->transport, USUAL_IPV6_TRANSPORT, header);
	return READ_AT(frame, packet->transport, USUAL_IPV4_TRANSPORT, header);
}

/* Completes both ends with the ports and protocol. */
static __always_inline int read_ports(const struct frame *frame, struct packet *packet)
{
	union transport header;

	if (!read_transport(frame, packet, &header))
		return 0;
	packet->from.port = header.ports[0];
	packet->to.port = header.ports[1];
	packet->from.protocol = packet->protocol;
	packet->to.protocol = packet->protocol;
	return 1;
}

/* Whether a quoted packet was translated: the reply to it would be ours. */
static __always_inline int is_translated(const struct frame *frame, struct packet *quoted)
{
	if (quoted->is_opaque || quoted->is_later_fragment || !is_transport(quoted->protocol) ||
	    !read_ports(frame, quoted))
		return 0;
	return is_reply(&quoted->to, &quoted->from);
}

/* Whether the packet inside a quoted tunnel header is one whose sender can be told. */
static __always_inline int is_reportable(const struct frame *frame, __u32 offset, __u8 protocol)
{
	if (protocol == IPPROTO_IPV6) {
		struct {
			struct ipv6hdr ip;
			union transport transport;
		} quoted;

		return READ_AT(frame, offset, NOWHERE, &quoted) && quoted.ip.version == 6 &&
		       quoted.ip.nexthdr != IPPROTO_ICMPV6;
	}
	if (protocol == IPPROTO_IPIP) {
		struct {
			struct iphdr ip;
			union transport transport;
		} quoted;

		return READ_AT(frame, offset, NOWHERE, &quoted) && quoted.ip.version == 4 &&
		       quoted.ip.protocol != IPPROTO_ICMP &&
		       !(quoted.ip.frag_off & bpf_htons(IPV4_OFFSET_MASK));
	}
	return 0;
}

/* Whether an error says that a packet we tunnelled is too big. */
static __always_inline int is_tunnel(const struct frame *frame, const struct packet *quoted,
				     __u8 type, __u8 code, __u32 quote)
{
	__u32 length = quoted->is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	if (quoted->is_ipv6 && type != ICMPV6_PACKET_TOO_BIG)
		return 0;
	if (!quoted->is_ipv6 && (type != ICMP_UNREACHABLE || code != ICMP_FRAGMENTATION_NEEDED))
		return 0;
	/* Our tunnel headers have no options. */
	if (quoted->transport != quote + length)
		return 0;
	return is_reportable(frame, quote + length, quoted->protocol) &&
	       bpf_map_lookup_elem(&tunnels, quoted->to.address);
}

static __always_inline int is_error(__u8 type, int is_ipv6)
{
	if (is_ipv6)
		return type >= ICMPV6_UNREACHABLE && type <= ICMPV6_PARAMETER_PROBLEM;
	return type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED ||
	       type == ICMP_PARAMETER_PROBLEM;
}

/* Neighbour and multicast listener discovery: the kernel's, always. */
static __always_inline int is_discovery(__u8 type)
{
	return (type >= 130 && type <= 137) || type == 143;
}

static __always_inline int is_our_icmp(const struct frame *frame, const struct packet *packet,
				       const __u8 *icmp, int is_vip,
				       const struct steer_config *settings)
{
	__u32 quote = packet->transport + sizeof(union transport);
	__u8 type = icmp[0];
	__u8 code = icmp[1];
	/* Zero, as speculation reads it where it was not filled. */
	struct packet quoted = {};

	if (packet->is_ipv6 && is_discovery(type))
		return 0;
	if (is_vip)
		return settings->answers_echo ||
		       type != (packet->is_ipv6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO_REQUEST);
	if (!is_error(type, packet->is_ipv6) ||
	    !read_ip(frame, quote, packet->is_ipv6, &quoted))
		return 0;
	return is_tunnel(frame, &quoted, type, code, quote) || is_translated(frame, &quoted);
}

static __always_inline int is_ours(const struct frame *frame, struct packet *packet,
				   const struct steer_config *settings)
{
	const __u32 *vip = find_vip(packet->to.address);
	union transport header;

	if (packet->is_fragment)
		return vip || is_reply_fragment(packet);
	if (packet->is_opaque)
		return vip != NULL;
	if (packet->protocol == (packet->is_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
		if (!read_transport(frame, packet, &header))
			return vip != NULL;
		return is_our_icmp(frame, packet, header.icmp, vip != NULL, settings);
	}
	if (!is_transport(packet->protocol))
		return 0;
	if (!read_ports(frame, packet))
		return vip != NULL;
	return (vip && is_service(*vip, &packet->to)) || is_reply(&packet->from, &packet->to);
}

/* What follows the link header of a frame to this interface, and where; 0 for other frames. */
static __always_inline __be16 read_link(const struct frame *frame,
					const struct steer_config *settings, __u32 *offset)
{
	struct ethhdr ethernet;
	struct vlan_tag tag;

	if (!READ_AT(frame, 0, 0, &ethernet) ||
	    __builtin_memcmp(ethernet.h_dest, settings->mac, ETH_ALEN))
		return 0;
	*offset = sizeof(ethernet);
	if (!settings->vlan)
		return ethernet.h_proto;
	if (!READ_AT(frame, sizeof(ethernet), sizeof(ethernet), &tag) ||
	    ethernet.h_proto != bpf_htons(ETH_P_8021Q) ||
	    (bpf_ntohs(tag.id) & VLAN_ID_MASK) != settings->vlan)
		return 0;
	*offset += sizeof(tag);
	return tag.type;
}

static __always_inline int steer(struct xdp_md *context, int is_copied)
{
	struct frame frame = {
		.context = context,
		.start = (void *)(long)context->data,
		.end = (void *)(long)context->data_end,
		.is_copied = is_copied,
	};
	__u32 queue = context->rx_queue_index;
	__u32 first = 0;
	const struct steer_config *settings = bpf_map_lookup_elem(&config, &first);
	struct packet packet;
	__u32 offset = 0;
	__be16 type;
	int is_ipv6;

	if (!settings)
		return count(STEER_PASS, XDP_PASS);
	type = read_link(&frame, settings, &offset);
	is_ipv6 = type == bpf_htons(ETH_P_IPV6);
	if ((!is_ipv6 && type != bpf_htons(ETH_P_IP)) ||
	    !read_ip(&frame, offset, is_ipv6, &packet))
		return count(STEER_PASS, XDP_PASS);
	if (is_ipv6)
		walk_extensions(&frame, &packet);
	if (!is_ours(&frame, &packet, settings))
		return count(STEER_PASS, XDP_PASS);
	if (!bpf_map_lookup_elem(&sockets, &queue))
		return count(STEER_NO_SOCKET, XDP_PASS);
	count(STEER_REDIRECT, 0);
	return bpf_redirect_map(&sockets, queue, XDP_PASS);
}

/* Loaded with CAP_PERFMON. */
SEC("xdp")
int xdplb_steer(struct xdp_md *context)
{
	return steer(context, 0);
}

/* Loaded without. */
SEC("xdp")
int xdplb_steer_cp(struct xdp_md *context)
{
	return steer(context, 1);
}

char _license[] SEC("license") = "Dual BSD/GPL";
