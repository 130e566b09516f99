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
/* Bytes of a transport or ICMP header that are read: the shorter of TCP's and UDP's. */
#define TRANSPORT_BYTES 8

#define VLAN_BYTES 4
#define VLAN_ID_MASK 0x0fff
#define IPV4_FRAGMENT_MASK 0x3fff
#define IPV4_OFFSET_MASK 0x1fff
/* Offset and "more" of a fragment header; without them it is an atomic one (RFC 6946). */
#define IPV6_FRAGMENT_MASK 0xfff9

/* The frame as the verifier wants it: every access is checked against its end. */
struct frame {
	void *start;
	void *end;
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

/* `count` bytes from `offset`; NULL unless all of them are in the frame. */
static __always_inline void *bytes_at(const struct frame *frame, __u32 offset, __u32 count)
{
	void *bytes = frame->start + (offset & OFFSET_MASK);

	return bytes + count > frame->end ? NULL : bytes;
}

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
	const struct iphdr *ip = bytes_at(frame, offset, sizeof(*ip));

	if (!ip || ip->version != 4)
		return 0;
	set_ipv4(&packet->from, ip->saddr);
	set_ipv4(&packet->to, ip->daddr);
	packet->transport = offset + ip->ihl * 4;
	packet->protocol = ip->protocol;
	packet->is_ipv6 = 0;
	packet->is_opaque = ip->ihl < 5;
	packet->is_fragment = (ip->frag_off & bpf_htons(IPV4_FRAGMENT_MASK)) != 0;
	packet->is_later_fragment = (ip->frag_off & bpf_htons(IPV4_OFFSET_MASK)) != 0;
	return 1;
}

static __always_inline int read_ipv6(const struct frame *frame, __u32 offset,
				     struct packet *packet)
{
	const struct ipv6hdr *ip = bytes_at(frame, offset, sizeof(*ip));

	if (!ip || ip->version != 6)
		return 0;
	set_ipv6(&packet->from, &ip->saddr);
	set_ipv6(&packet->to, &ip->daddr);
	packet->transport = offset + sizeof(*ip);
	packet->protocol = ip->nexthdr;
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

static __always_inline int is_extension(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
	       protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_AH ||
	       protocol == IPPROTO_DSTOPTS;
}

/* Goes on to the transport header, or to the header of a fragment. */
static __always_inline void walk_extensions(const struct frame *frame, struct packet *packet)
{
	for (int walked = 0; walked < WALK_LIMIT; walked++) {
		/* Next header, length, and of a fragment header its offset; all have 8 bytes. */
		const __u8 *header;

		if (!is_extension(packet->protocol))
			return;
		header = bytes_at(frame, packet->transport, 8);
		if (!header)
			break;
		if (packet->protocol == IPPROTO_FRAGMENT) {
			if (*(const __be16 *)(header + 2) & bpf_htons(IPV6_FRAGMENT_MASK)) {
				packet->is_fragment = 1;
				return;
			}
			packet->transport += 8;
		} else if (packet->protocol == IPPROTO_AH) {
			packet->transport += (header[1] + 2) * 4;
		} else {
			packet->transport += (header[1] + 1) * 8;
		}
		packet->protocol = header[0];
	}
	packet->is_opaque = is_extension(packet->protocol);
}
