/* SPDX-License-Identifier: Apache-2.0 */
/* peer: clients, router and backends on one link; every payload that comes back is compared.
 *
 *   peer IF LB-MAC dsr|snat FRAMES LENGTH
 *
 * Sends UDP packets of LENGTH bytes from many clients to 40.1.1.1:80. dsr: each must come back inside
 * another IPv4 header to a backend, byte for byte. snat: each must come back to a backend from a port
 * of the load balancer's with right checksums; it is answered, and the answer must come back to its
 * client from the VIP. What is lost is sent again, three times at most. Exit 0: all were verified.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 4096
#define WINDOW 16

static int fd, is_snat, length;
static uint8_t own[6], lb[6];
static uint8_t done[MOST];
static long wrong;

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint32_t add(const uint8_t *data, int count, uint32_t sum)
{
	for (int i = 0; i + 1 < count; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	return count & 1 ? sum + ((uint32_t)data[count - 1] << 8) : sum;
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static unsigned get16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static uint32_t udp_sum(const uint8_t *ip)
{
	int count = (int)get16(ip + 2) - 20;

	return add(ip + 20, count, add(ip + 12, 8, 17 + (uint32_t)count));
}

/* The packet of a number: client, port and payload follow from it. */
static void make(uint8_t *ip, int number)
{
	memset(ip, 0, (size_t)length);
	ip[0] = 0x45;
	put16(ip + 2, (unsigned)length);
	put16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, (uint8_t[]){ 10, 9, (uint8_t)(number % 5), (uint8_t)(1 + number % 200) }, 4);
	memcpy(ip + 16, (uint8_t[]){ 40, 1, 1, 1 }, 4);
	put16(ip + 10, fold(add(ip, 20, 0)));
	/* A flow of its own in each mode: a connection stays what it was when the mode changes. */
	put16(ip + 20, (unsigned)((is_snat ? 10000 : 2000) + number));
	put16(ip + 22, 80);
	put16(ip + 24, (unsigned)length - 20);
	put16(ip + 28, (unsigned)number);
	for (int i = 30; i < length; i++)
		ip[i] = (uint8_t)(i * 7 + number);
	put16(ip + 26, fold(udp_sum(ip)));
}

static void send_ip(const uint8_t *ip, int count)
{
	uint8_t frame[2048];
	int total = count + 14 < 60 ? 60 : count + 14;

	memset(frame, 0, sizeof frame);
	memcpy(frame, lb, 6);
	memcpy(frame + 6, own, 6);
	put16(frame + 12, 0x0800);
	memcpy(frame + 14, ip, (size_t)count);
	if (send(fd, frame, (size_t)total, 0) < 0)
		perror("send");
}

static int is_backend(const uint8_t *address)
{
	return address[0] == 20 && address[1] == 1 && address[2] == 1;
}

/* A packet from the load balancer to a backend or a client. */
static void take(uint8_t *ip, int count)
{
	uint8_t sent[2048];

	if (count < 28 || ip[0] != 0x45 || fold(add(ip, 20, 0)) != 0)
		return;
	if (is_backend(ip + 16) && ip[9] == 4 && !is_snat) {
		int number = (int)get16(ip + 20 + 28);

		if (number >= MOST || count < 20 + length)
			return;
		make(sent, number);
		if (memcmp(ip + 20, sent, (size_t)length))
			wrong++;
		else
			done[number] = 1;
	} else if (is_backend(ip + 16) && ip[9] == 17 && is_snat) {
		int number = (int)get16(ip + 28);

		if (number >= MOST || count < length)
			return;
		make(sent, number);
		if (memcmp(ip + 28, sent + 28, (size_t)length - 28) || fold(udp_sum(ip)) != 0) {
			wrong++;
			return;
		}
		/* The backend's answer: the same data, the other way round. */
		uint8_t answer[2048];

		memcpy(answer, ip, (size_t)length);
		memcpy(answer + 12, ip + 16, 4);
		memcpy(answer + 16, ip + 12, 4);
		memcpy(answer + 20, ip + 22, 2);
		memcpy(answer + 22, ip + 20, 2);
		answer[8] = 64;
		put16(answer + 10, 0);
		put16(answer + 10, fold(add(answer, 20, 0)));
		send_ip(answer, length);
	} else if (ip[12] == 40 && ip[9] == 17 && is_snat) {
		int number = (int)get16(ip + 28);

		if (number >= MOST || count < length)
			return;
		make(sent, number);
		if (memcmp(ip + 28, sent + 28, (size_t)length - 28) || memcmp(ip + 16, sent + 12, 4) ||
		    get16(ip + 22) != get16(sent + 20) || get16(ip + 20) != 80 || fold(udp_sum(ip)) != 0)
			wrong++;
		else
			done[number] = 1;
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void receive(double seconds, int first, int last)
{
	double end = now() + seconds;

	while (now() < end) {
		struct pollfd p = { fd, POLLIN, 0 };
		uint8_t frame[4096];
		struct sockaddr_ll from;
		socklen_t size = sizeof from;
		int missing = 0;

		for (int i = first; i < last; i++)
			missing += !done[i];
		if (!missing || poll(&p, 1, 20) < 0)
			return;
		ssize_t count = recvfrom(fd, frame, sizeof frame, MSG_DONTWAIT, (struct sockaddr *)&from, &size);

		if (count > 14 && from.sll_pkttype != PACKET_OUTGOING && get16(frame + 12) == 0x0800)
			take(frame + 14, (int)count - 14);
	}
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	int count = atoi(argv[4]);
	struct ifreq request = { 0 };

	is_snat = !strcmp(argv[3], "snat");
	length = atoi(argv[5]);
	if (count < 1 || count > MOST || length < 40 || length > 1500 ||
	    sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", lb, lb + 1, lb + 2, lb + 3, lb + 4, lb + 5) != 6)
		return 2;
	fd = socket(AF_PACKET, SOCK_RAW, htons(0x0800));
	strncpy(request.ifr_name, argv[1], IFNAMSIZ - 1);
	struct sockaddr_ll here = { .sll_family = AF_PACKET, .sll_protocol = htons(0x0800), .sll_ifindex = (int)if_nametoindex(argv[1]) };

	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request) || bind(fd, (struct sockaddr *)&here, sizeof here)) {
		perror("peer");
		return 2;
	}
	memcpy(own, request.ifr_hwaddr.sa_data, 6);
	for (int attempt = 0; attempt < 4; attempt++)
		for (int first = 0; first < count; first += WINDOW) {
			int last = first + WINDOW < count ? first + WINDOW : count;
			uint8_t ip[2048];

			for (int i = first; i < last; i++)
				if (!done[i]) {
					make(ip, i);
					send_ip(ip, length);
				}
			receive(attempt ? 2 : 1, first, last);
		}
	int verified = 0;

	for (int i = 0; i < count; i++)
		verified += done[i];
	printf("%s, %d bytes: %d of %d verified, %ld wrong\n", argv[3], length, verified, count, wrong);
	return verified == count && !wrong ? 0 : 1;
}
