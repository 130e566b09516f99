/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "CPlatform.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int attach(int fd, struct sock_filter *filter, int count)
{
	struct sock_fprog program = { .len = count, .filter = filter };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ? errno : 0;
}

int cplatform_reject_all(int fd)
{
	struct sock_filter reject = BPF_STMT(BPF_RET | BPF_K, 0);

	return attach(fd, &reject, 1);
}

int cplatform_accept_sources(int fd, int family, const uint32_t *addresses, int count)
{
	int words = family == AF_INET ? 1 : 4;
	int first = family == AF_INET ? 12 : 8;
	int each = 2 * words + 1;
	struct sock_filter filter[BPF_MAXINSNS];
	int n = 0;

	/* More than a filter can hold: everything, and the caller looks at it. */
	if (count * each + 1 > BPF_MAXINSNS)
		count = -1;
	for (int i = 0; i < count; i++) {
		for (int word = 0; word < words; word++) {
			int rest = each - 2 * word - 2;

			filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
								   first + 4 * word);
			filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
								   addresses[i * words + word], 0, rest);
		}
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0xffff);
	}
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, count < 0 ? 0xffff : 0);
	return attach(fd, filter, n);
}

int cplatform_packet_socket(int ethertype)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ethertype) };
	/* Protocol 0: nothing arrives before the filter is there and the socket is bound. */
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (cplatform_reject_all(fd) || bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

int cplatform_epoll(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

int cplatform_epoll_watch(int epoll, int fd, int is_new, int for_writing)
{
	struct epoll_event event = { .events = for_writing ? EPOLLOUT : EPOLLIN, .data.fd = fd };

	return epoll_ctl(epoll, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) ? errno : 0;
}

void cplatform_epoll_forget(int epoll, int fd)
{
	epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
}

int cplatform_epoll_wait(int epoll, int *ready, int capacity, int milliseconds)
{
	struct epoll_event events[256];
	int count = epoll_wait(epoll, events, capacity < 256 ? capacity : 256, milliseconds);

	for (int i = 0; i < count; i++)
		ready[i] = events[i].data.fd;
	return count < 0 ? 0 : count;
}

/* The error in a control message, or NULL. */
static const struct sock_extended_err *extended(struct cmsghdr *header)
{
	int is_ipv4 = header->cmsg_level == SOL_IP && header->cmsg_type == IP_RECVERR;
	int is_ipv6 = header->cmsg_level == SOL_IPV6 && header->cmsg_type == IPV6_RECVERR;

	return is_ipv4 || is_ipv6 ? (const struct sock_extended_err *)CMSG_DATA(header) : NULL;
}

int cplatform_take_error(int fd, uint8_t *address, int *count)
{
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} destination = { 0 };
	union {
		char bytes[512];
		struct cmsghdr alignment;
	} control;
	/* Of the packet itself nothing is kept. */
	struct msghdr message = {
		.msg_name = &destination,
		.msg_namelen = sizeof(destination),
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	*count = 0;
	if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return -1;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
	     header = CMSG_NXTHDR(&message, header)) {
		const struct sock_extended_err *error = extended(header);

		if (!error ||
		    (error->ee_origin != SO_EE_ORIGIN_ICMP && error->ee_origin != SO_EE_ORIGIN_ICMP6))
			continue;
		if (destination.any.sa_family == AF_INET) {
			*count = 4;
			memcpy(address, &destination.ipv4.sin_addr, 4);
		} else if (destination.any.sa_family == AF_INET6) {
			*count = 16;
			memcpy(address, &destination.ipv6.sin6_addr, 16);
		}
		return (int)error->ee_errno;
	}
	return 0;
}
