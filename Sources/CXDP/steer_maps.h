/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Keys and values of the steering program's maps, shared by steer.bpf.c and XSKRing.
 * Addresses are 16 bytes in network order, IPv4 in its mapped form (::ffff:a.b.c.d, RFC 4291
 * section 2.5.5.2), so that both families use one map.
 */
#pragma once

#include <linux/types.h>

#define STEER_MAX_QUEUES 256
#define STEER_MAX_VIPS 65536
#define STEER_MAX_PORT_BLOCKS 262144
#define STEER_MAX_POOL_ADDRESSES 1024
#define STEER_MAX_BACKENDS 65536
/* A pool address has two at most; twice that while one set of rules replaces another. */
#define STEER_PORT_RANGES 4

/* Ports of a block, one bit each. */
#define STEER_BLOCK_PORTS 64
/* The block that stands for every port; a single bit of it has no meaning. */
#define STEER_ANY_PORT 0xffff

/* The interface, and what is not bound to an address. */
struct steer_config {
	__u8 mac[6];
	__u16 vlan;             /* host order; 0 when frames carry no tag */
	__u8 answers_echo;
	__u8 padding[7];
};

/* A VIP or a prefix of VIPs; the map gives its number. */
struct steer_prefix {
	__u32 length;           /* bits, of the mapped form */
	__u8 address[16];
};

/* Some of a VIP's ports; the map gives a bit for each, the lowest port's the lowest. */
struct steer_port_block {
	__u32 vip;
	__u16 block;            /* port / STEER_BLOCK_PORTS, host order */
	__u8 protocol;
	__u8 padding;
};

/*
 * Where replies of a SNAT backend come from. Port 0 is any; protocol 0 with it is the address
 * alone, by which fragments are told.
 */
struct steer_endpoint {
	__u8 address[16];
	__u16 port;             /* network order */
	__u8 protocol;
	__u8 padding;
};

/* Ports of one SNAT pool address, host order, both ends included; an empty range is 1...0. */
struct steer_ports {
	__u16 first[STEER_PORT_RANGES];
	__u16 last[STEER_PORT_RANGES];
};

/* Index of a per-CPU counter in the verdict map. */
enum steer_verdict {
	STEER_PASS = 0,         /* not ours: to the kernel, unchanged */
	STEER_REDIRECT = 1,     /* ours: to the socket of the queue it arrived on */
	STEER_NO_SOCKET = 2,    /* ours, but the queue has no socket: to the kernel (fail open) */
	STEER_VERDICTS = 3,
};
