/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What the steering program reads of a frame: bounds and headers, no decisions.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steer_maps.h"

/* No offset is ever larger: tag, IPv6 and eight extension headers of 2048 bytes end at 16442. */
#define OFFSET_MASK 0x7fff
/* Extension headers that are walked: Steering.walkLimit. */
#define WALK_LIMIT 8
/* Where headers usually are: without a tag, options and extension headers. */
#define USUAL_IP sizeof(struct ethhdr)
#define USUAL_IPV4_TRANSPORT (USUAL_IP + sizeof(struct iphdr))
#define USUAL_IPV6_TRANSPORT (USUAL_IP + sizeof(struct ipv6hdr))
/* Headers inside quoted packets may be anywhere. */
#define NOWHERE 0

#define VLAN_ID_MASK 0x0fff
#define IPV4_FRAGMENT_MASK 0x3fff
#define IPV4_OFFSET_MASK 0x1fff
/* Offset and "more" of a fragment header; without them it is an atomic one (RFC 6946). */
#define IPV6_FRAGMENT_MASK 0xfff9

/*
 * The frame as the verifier wants it: every access is checked against its end.
 *
 * A program that is loaded without CAP_PERFMON may read a frame at constant offsets only, as the
 * kernel cannot mask others against speculation (Spectre v1). Such a program copies what it reads.
 */
struct frame {
	struct xdp_md *context;
	void *start;
	void *end;
	int is_copied;          /* a constant of each of the two programs */
};

/* What follows the addresses of a frame in a VLAN, whose type is that of a tag. */
struct vlan_tag {
	__be16 id;              /* with a priority */
	__be16 type;            /* of what follows */
};

/* What is read of a transport or ICMP header: the shorter of TCP's and UDP's. */
union transport {
	__be16 ports[4];
	__u8 icmp[8];
};

/* An IP header, of the frame or of a packet quoted in it. */
struct packet {
	struct steer_endpoint from;
	struct steer_endpoint to;
	__u32 transport;        /* offset of what follows it */
	__u8 protocol;          /* of what follows it */
	__u8 is_ipv6;
	__u8 is_opaque;         /* what follows cannot be found */
	__u8 is_fragment;       /* IPv6: once its fragment header is found */
	__u8 is_later_fragment; /* IPv4 only: not the first one */
};

/*
 * Reads `*(to)` from `offset`; 0 unless all of it is in the frame. A program that copies does not
 * where the offset is the constant `usual`, as it is in most frames.
 *
 * A value and no pointer into the frame, as the compiler would compare that with 0; and the pointer
 * that it is read by is hidden, as the compiler would join reads at two constant offsets to one at
 * an offset that varies. Both needs CAP_PERFMON.
 */
#define READ_AT(frame, offset, usual, to)                                                          \
	({                                                                                         \
		int is_read = 0;                                                                   \
		if ((frame)->is_copied && (offset) != (usual)) {                                   \
			is_read = !bpf_xdp_load_bytes((frame)->context, offset, to, sizeof(*(to)));\
		} else {                                                                           \
			const typeof(*(to)) *bytes =                                               \
				(frame)->start +                                                   \
				((frame)->is_copied ? (usual) : (offset) & OFFSET_MASK);           \
			if ((frame)->is_copied)                                                    \
				asm volatile("" : "+r"(bytes));                                    \
			if ((const void *)(bytes + 1) <= (frame)->end) {                           \
				*(to) = *bytes;                                                    \
				is_read = 1;                                                       \
			}                                                                          \
		}                                                                                  \
		is_read;                                                                           \
	})

static __always_inline void set_ipv4(struct steer_endpoint *endpoint, __be32 address)
{
	__builtin_memset(endpoint, 0, sizeof(*endpoint));
	endpoint->address[10] = 0xff;
	endpoint->address[11] = 0xff;
	__builtin_memcpy(&endpoint->address[12], &address, sizeof(address));
}

static __always_inline void set_ipv6(struct steer_endpoint *endpoint,
				     const struct in6_addr *address)
{
	__builtin_memset(endpoint, 0, sizeof(*endpoint));
	__builtin_memcpy(endpoint->address, address, sizeof(*address));
}

static __always_inline int read_ipv4(const struct frame *frame, __u32 offset,
				     struct packet *packet)
{
	struct iphdr ip;

	if (!READ_AT(frame, offset, USUAL_IP, &ip) || ip.version != 4)
		return 0;
	set_ipv4(&packet->from, ip.saddr);
	set_ipv4(&packet->to, ip.daddr);
	packet->transport = offset + ip.ihl * 4;
	packet->protocol = ip.protocol;
	packet->is_ipv6 = 0;
	packet->is_opaque = ip.ihl < 5;
	packet->is_fragment = (ip.frag_off & bpf_htons(IPV4_FRAGMENT_MASK)) != 0;
	packet->is_later_fragment = (ip.frag_off & bpf_htons(IPV4_OFFSET_MASK)) != 0;
	return 1;
}

static __always_inline int read_ipv6(const struct frame *frame, __u32 offset,
				     struct packet *packet)
{
	struct ipv6hdr ip;

	if (!READ_AT(frame, offset, USUAL_IP, &ip) || ip.version != 6)
		return 0;
	set_ipv6(&packet->from, &ip.saddr);
	set_ipv6(&packet->to, &ip.daddr);
	packet->transport = offset + sizeof(ip);
	packet->protocol = ip.nexthdr;
	packet->is_ipv6 = 1;
	packet->is_opaque = 0;
	packet->is_fragment = 0;
	packet->is_later_fragment = 0;
	return 1;
}

static __always_inline int read_ip(const struct frame *frame, __u32 offset, int is_ipv6,
				   struct packet *packet)
{
	return is_ipv6 ? read_ipv6(frame, offset, packet) : read_ipv4(frame, offset, packet);
}

#define PROTOCOL_BIT(protocol) (1ULL << (protocol))
#define EXTENSIONS                                                                                 \
	(PROTOCOL_BIT(IPPROTO_HOPOPTS) | PROTOCOL_BIT(IPPROTO_ROUTING) |                           \
	 PROTOCOL_BIT(IPPROTO_FRAGMENT) | PROTOCOL_BIT(IPPROTO_AH) | PROTOCOL_BIT(IPPROTO_DSTOPTS))

static __always_inline int is_extension(__u8 protocol)
{
	return protocol < 64 && (EXTENSIONS >> protocol & 1);
}

/* Goes on to the transport header, or to the header of a fragment. */
static __always_inline void walk_extensions(const struct frame *frame, struct packet *packet)
{
	/* Speculation goes round a loop without end. */
#pragma unroll
	for (int walked = 0; walked < WALK_LIMIT; walked++) {
		/* Next header, length, and of a fragment header its offset; all have 8 bytes. */
		struct {
			__u8 next;
			__u8 length;
			__be16 fragment;
			__be32 rest;
		} header;

		if (!is_extension(packet->protocol))
			return;
		if (!READ_AT(frame, packet->transport, USUAL_IPV6_TRANSPORT, &header))
			break;
		if (packet->protocol == IPPROTO_FRAGMENT) {
			if (header.fragment & bpf_htons(IPV6_FRAGMENT_MASK)) {
				packet->is_fragment = 1;
				return;
			}
			packet->transport += 8;
		} else if (packet->protocol == IPPROTO_AH) {
			packet->transport += (header.length + 2) * 4;
		} else {
			packet->transport += (header.length + 1) * 8;
		}
		packet->protocol = header.next;
	}
	packet->is_opaque = is_extension(packet->protocol);
}
