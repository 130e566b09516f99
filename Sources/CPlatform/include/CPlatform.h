/* SPDX-License-Identifier: Apache-2.0 */
/* What Swift cannot import: _GNU_SOURCE functions, ioctl, function-like macros. */
#pragma once

#include <stdint.h>

/* Names the calling thread (at most 15 bytes) and pins it to `cpu`, or to none when negative.
 * Returns 0 or an errno value. */
int cplatform_name_and_pin_thread(const char *_Nonnull name, int cpu);

/* A new eventfd, non-blocking and closed on exec, or -1 with errno. Glibc's module lacks it. */
int cplatform_eventfd(void);

/* A new memfd, closed on exec, on 2 MiB pages when `huge`; or -1 with errno. */
int cplatform_memfd(const char *_Nonnull name, int huge);

/* `EBUSY` for 16, and so on; NULL for a number that is no errno value. */
const char *_Nullable cplatform_error_name(int error);

/* Moves the calling thread into the network namespace of a file such as /run/netns/NAME, with a
 * /sys of its own that shows this namespace. Irreversible. Returns 0 or an errno value. */
int cplatform_enter_network_namespace(const char *_Nonnull path);

/* Queues of an interface, as ETHTOOL_GCHANNELS counts them, and how many there could be. */
struct cplatform_channels {
	uint32_t combined, max_combined, rx, max_rx, tx, max_tx;
};

/* Descriptors of each of the NIC's own rings (ETHTOOL_GRINGPARAM), and how many there could be. */
struct cplatform_rings {
	uint32_t rx, max_rx, tx, max_tx;
};

/* These ask the driver of an interface of the caller's network namespace. They return 0 or an
 * errno value: ENODEV without such an interface, EOPNOTSUPP where the driver does not tell. */
int cplatform_driver(const char *_Nonnull interface, char *_Nonnull name, int size);
int cplatform_channels(const char *_Nonnull interface,
		       struct cplatform_channels *_Nonnull channels);
int cplatform_rings(const char *_Nonnull interface, struct cplatform_rings *_Nonnull rings);

/* Writes the names of the features that are on (`ethtool -k`, in the kernel's words), each with a
 * newline after it. Needs 4 KiB. */
int cplatform_features(const char *_Nonnull interface, char *_Nonnull names, int size);

/* The same for the device with a number in the network namespace of a file, and its name, for which
 * it needs 16 bytes. The caller stays in its own. */
int cplatform_features_elsewhere(const char *_Nonnull namespace_path, int index,
				 char *_Nonnull interface, char *_Nonnull names, int size);

/* Parts of UDP packets that choose their queue, as RXH_* of <linux/ethtool.h>; and bytes of the key
 * that they are hashed with. */
int cplatform_udp_hash(const char *_Nonnull interface, int is_ipv6, uint64_t *_Nonnull parts);
int cplatform_hash_key(const char *_Nonnull interface, uint32_t *_Nonnull byte_count);

/* Writes the CPUs this process may run on, ascending; returns how many, at most `capacity`. */
int cplatform_allowed_cpus(int *_Nonnull cpus, int capacity);

/* Gives a netlink socket a port number of its own; 0 or an errno value. */
int cplatform_netlink_bind(int fd);

/* Has a socket take nothing in. On a TCP socket that listens this also keeps the kernel from
 * answering what comes to its port. Returns 0 or an errno value. */
int cplatform_reject_all(int fd);

/* Has a packet socket take only IP packets from these addresses: each one 32-bit word in host byte
 * order for AF_INET, four for AF_INET6. Returns 0 or an errno value. */
int cplatform_accept_sources(int fd, int family, const uint32_t *_Nullable addresses, int count);

/* A socket that sees the IP packets of an Ethernet type that arrive on any interface, but takes none
 * in until cplatform_accept_sources. Non-blocking and closed on exec; -1 with errno. */
int cplatform_packet_socket(int ethertype);

/* Keeps the heap of a process that runs for months from growing (mallopt(3)): two arenas, where glibc
 * would add one for each thread that finds the others busy, and blocks from 128 KiB on mapped by
 * themselves and given back when freed, where it would raise that bound as it goes. */
void cplatform_bound_heap(void);

/* CLOCK_MONOTONIC in microseconds; its members have no module that Swift finds in every build. */
uint64_t cplatform_monotonic_microseconds(void);

/* epoll(7) by file descriptor, which Glibc's module lacks: a new one or -1 with errno; waiting for a
 * descriptor to be readable, or writable: 0 or an errno value; how many are ready. */
int cplatform_epoll(void);
int cplatform_epoll_watch(int epoll, int fd, int is_new, int for_writing);
void cplatform_epoll_forget(int epoll, int fd);
int cplatform_epoll_wait(int epoll, int *_Nonnull ready, int capacity, int milliseconds);

/* Takes one error from the queue of a socket with IP_RECVERR or IPV6_RECVERR, which has what ICMP said
 * of packets that were sent. Returns its errno value, or 0 for one of this host's own making, and
 * writes where the packet was to go: `count` bytes, four, sixteen or none, in network order. Returns
 * -1 when there is none. */
int cplatform_take_error(int fd, uint8_t *_Nonnull address, int *_Nonnull count);
