/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Keys and values of the steering program's maps, shared by steer.bpf.c and XSKRing.
 * Addresses are 16 bytes in network order, IPv4 in its mapped form (::ffff:a.b.c.d, RFC 4291
 * section 2.5.5.2), so that both families use one map. Ports are in network order.
 */
#pragma once

#include <linux/types.h>

#define STEER_MAX_QUEUES 256
#define STEER_MAX_SERVICES 65536
#define STEER_MAX_POOL_ADDRESSES 1024
#define STEER_MAX_BACKENDS 65536
#define STEER_PORT_RANGES 2

/* A VIP, port and protocol that a service answers; or a SNAT backend, whose replies are ours. */
struct steer_endpoint {
	__u8 address[16];
	__u16 port;
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
