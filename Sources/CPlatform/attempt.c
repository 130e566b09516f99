/* SPDX-License-Identifier: Apache-2.0 */
#include "CPlatform.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Either family of socket address. */
union address {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

static socklen_t fill(union address *address, const uint8_t *bytes, int count, uint16_t port)
{
	memset(address, 0, sizeof *address);
	if (count == 4) {
		address->ipv4.sin_family = AF_INET;
		address->ipv4.sin_port = htons(port);
		memcpy(&address->ipv4.sin_addr, bytes, 4);
		return sizeof address->ipv4;
	}
	address->ipv6.sin6_family = AF_INET6;
	address->ipv6.sin6_port = htons(port);
	memcpy(&address->ipv6.sin6_addr, bytes, 16);
	return sizeof address->ipv6;
}

/* Closes a socket that could not be set up; -1 with the errno from before. */
static int give_up(int channel)
{
	int error = errno;

	if (channel >= 0)
		close(channel);
	errno = error;
	return -1;
}

static int set(int channel, int level, int name, int value)
{
	return setsockopt(channel, level, name, &value, sizeof value);
}

static uint32_t word(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

/* Drops all but TCP packets from `peer` to `port`; packets begin with their IP header. */
static int filter_ipv4(int channel, const uint8_t *peer, uint16_t port)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word(peer), 0, 8),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 6),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 4, 0),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { sizeof code / sizeof *code, code };

	return setsockopt(channel, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

static int filter_ipv6(int channel, const uint8_t *peer, uint16_t port)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 8),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word(peer), 0, 11),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word(peer + 4), 0, 9),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word(peer + 8), 0, 7),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word(peer + 12), 0, 5),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 42),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { sizeof code / sizeof *code, code };

	return setsockopt(channel, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

int cplatform_probe_listener(const uint8_t *peer, int count, uint16_t port)
{
	/* Of no protocol at first, which hears nothing: no packet comes before the filter. */
	int channel = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_ll everywhere = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(count == 4 ? ETH_P_IP : ETH_P_IPV6),
	};

	if (channel < 0 ||
	    (count == 4 ? filter_ipv4 : filter_ipv6)(channel, peer, port) ||
	    bind(channel, (struct sockaddr *)&everywhere, sizeof everywhere))
		return give_up(channel);
	return channel;
}

int cplatform_probe_port(const uint8_t *own, int count, uint16_t *port)
{
	union address address;
	socklen_t length = fill(&address, own, count, 0);
	int channel = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* The kernel would answer a SYN-ACK from the VIP with a reset: it is to say nothing. */
	if (channel < 0 || cplatform_reject_all(channel) || bind(channel, &address.any, length) ||
	    listen(channel, 1) || getsockname(channel, &address.any, &length))
		return give_up(channel);
	*port = ntohs(count == 4 ? address.ipv4.sin_port : address.ipv6.sin6_port);
	return channel;
}

/* Asks for errors by ICMP, and for no fragments; lets the source be any address. */
static int set_tunnel_options(int channel, int is_ipv4)
{
	if (is_ipv4)
		return set(channel, SOL_IP, IP_RECVERR, 1) ||
		       set(channel, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE) ||
		       set(channel, SOL_IP, IP_TRANSPARENT, 1);
	return set(channel, SOL_IPV6, IPV6_RECVERR, 1) ||
	       set(channel, SOL_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE) ||
	       set(channel, SOL_IPV6, IPV6_TRANSPARENT, 1);
}

int cplatform_probe_tunnel(int inner_count, const uint8_t *end, int count, const uint8_t *own)
{
	union address source, destination;
	socklen_t length = fill(&destination, end, count, 0);
	int channel = socket(destination.any.sa_family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			     inner_count == 4 ? IPPROTO_IPIP : IPPROTO_IPV6);

	if (channel < 0 || set_tunnel_options(channel, count == 4))
		return give_up(channel);
	if (own) {
		fill(&source, own, count, 0);
		if (bind(channel, &source.any, length))
			return give_up(channel);
	}
	if (connect(channel, &destination.any, length))
		return give_up(channel);
	return channel;
}

int cplatform_probe_connect(const uint8_t *address, int count, uint16_t port)
{
	union address peer;
	socklen_t length = fill(&peer, address, count, port);
	int channel = socket(peer.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (channel < 0 || (connect(channel, &peer.any, length) && errno != EINPROGRESS))
		return give_up(channel);
	return channel;
}
