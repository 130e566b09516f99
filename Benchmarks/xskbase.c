/* SPDX-License-Identifier: Apache-2.0 */
/* xskbase: AF_XDP baseline in C, the most this link gives a userspace forwarder.
 *
 *   xskbase -i IF [-o OUTIF] -m drop|fwd|encap|tx [-q first-queue] [-n queues] [-c first-cpu]
 *           [-s seconds] [-b batch] [-f 2048|4096] [-r ring] [-S] [-B] [-p] [-T txbudget] [-H]
 *           [-D dmac] [-e smac] [-F flows]
 *
 *   drop   receive and recycle            fwd    swap MACs and send back (or out of OUTIF)
 *   encap  like fwd with a 20-byte outer IPv4 header pushed in front (what IP-in-IP DSR writes)
 *   tx     generator: send 60-byte UDP frames of -F flows
 *   -S skb (generic) mode    -B busy polling (SO_PREFER_BUSY_POLL)    -p sleep in poll() when idle
 *   -T frames per sendto (XDP_MAX_TX_SKB_BUDGET; the kernel's default is 32)    -H huge pages
 *
 * One thread, UMEM and socket per queue. Prints one JSON line; ends after the given seconds.
 */
#include "util.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/xsk.h>
#include <linux/if_link.h>
#ifndef SOL_XDP
#define SOL_XDP 283
#endif
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#define SO_BUSY_POLL_BUDGET 70
#endif

enum mode { DROP, FWD, ENCAP, TX };
static enum mode mode = FWD;
static const char *ifn, *ofn;
static int q0, nq = 1, cpu0 = 1, batch = 64, fsize = 2048, ring = 2048, skb, busy, usepoll, txbudget, huge, nflows = 1000;
static double seconds = 5;
static unsigned char dmac[6] = { 2, 0, 0, 0, 1, 2 }, smac[6] = { 2, 0, 0, 0, 1, 1 };
static int mapfd = -1, ifi;
static struct res {
	uint64_t rx, tx, kicks, empty;
	double t, user, sys;
} out[64];

static void busy_opts(int fd)
{
	int v = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &v, sizeof v))
		perror("SO_PREFER_BUSY_POLL");
	v = 20;
	if (setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &v, sizeof v))
		perror("SO_BUSY_POLL");
	v = batch;
	if (setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &v, sizeof v))
		perror("SO_BUSY_POLL_BUDGET");
}
static inline uint16_t fold(uint32_t s)
{
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return ~s;
}
static inline void swap_macs(uint8_t *p)
{
	uint64_t a, b;
	memcpy(&a, p, 8);      /* d0..d5 s0 s1 */
	memcpy(&b, p + 4, 8);  /* d4 d5 s0..s5 */
	uint64_t d = a & 0xffffffffffffULL, s = b >> 16;
	memcpy(p, &s, 6);
	memcpy(p + 6, &d, 6);
}
/* Push a 20-byte outer IPv4 header; the frame grows downwards into the headroom. */
static inline void encap(uint8_t *p, uint32_t len)
{
	uint8_t *n = p - 20;
	memcpy(n, p + 6, 6);
	memcpy(n + 6, p, 6);
	n[12] = 8; n[13] = 0;
	uint16_t tot = len - 14 + 20;
	uint8_t h[20] = { 0x45, 0, tot >> 8, tot, 0, 0, 0x40, 0, 64, 4, 0, 0, 172, 16, p[28], p[29], 10, 0, 3, 1 };
	uint16_t ck = fold(0x4500 + tot + 0x4000 + 0x4004 + 0xac10 + (p[28] << 8 | p[29]) + 0x0a00 + 0x0301);
	h[10] = ck >> 8; h[11] = ck;
	memcpy(n + 14, h, 20);
}
static void *worker(void *arg)
{
	long w = (long)arg;
	struct res *R = &out[w];
	pin_to(cpu0 < 0 ? -1 : cpu0 + w);
	uint32_t nframes = ring * 4;
	size_t sz = (size_t)nframes * fsize;
	sz = (sz + (2 << 20) - 1) & ~(size_t)((2 << 20) - 1);
	uint8_t *buf = mmap(NULL, sz + (2 << 20), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf == MAP_FAILED)
		die("mmap");
	buf = (uint8_t *)(((uintptr_t)buf + (2 << 20) - 1) & ~(uintptr_t)((2 << 20) - 1));
	if (huge)
		madvise(buf, sz, MADV_HUGEPAGE);
	memset(buf, 0, sz);
	struct xsk_umem *um;
	/* libxdp leaves cached_prod/cached_cons as they are: the ring structs must start zeroed. */
	struct xsk_ring_prod fill = { 0 }, tx = { 0 }, ofill = { 0 };
	struct xsk_ring_cons comp = { 0 }, rx = { 0 }, ocomp = { 0 };
	struct xsk_umem_config uc = { .fill_size = ring * 2, .comp_size = ring, .frame_size = fsize };
	int e = xsk_umem__create(&um, buf, sz, &fill, &comp, &uc);
	if (e)
		die("umem: %s", strerror(-e));
	struct xsk_socket_config sc = { .rx_size = ring, .tx_size = ring,
		.libbpf_flags = XSK_LIBBPF_FLAGS__INHIBIT_PROG_LOAD, .bind_flags = XDP_COPY | XDP_USE_NEED_WAKEUP };
	struct xsk_socket *xs, *xo;
	/* The kernel releases a queue a moment after its last socket is closed, and here variants follow each other. */
	for (int left = 200; left > 0; left--) {
		e = xsk_socket__create(&xs, ifn, q0 + w, um, mode == TX ? NULL : &rx, ofn ? NULL : &tx, &sc);
		if (e != -EBUSY)
			break;
		usleep(10000);
	}
	if (e)
		die("socket on %s queue %ld: %s", ifn, q0 + w, strerror(-e));
	xo = xs;
	struct xsk_ring_cons *cq = &comp;
	if (ofn) {
		e = xsk_socket__create_shared(&xo, ofn, q0 + w, um, NULL, &tx, &ofill, &ocomp, &sc);
		if (e)
			die("socket on %s: %s", ofn, strerror(-e));
		cq = &ocomp;
	}
	int fd = xsk_socket__fd(xs), ofd = xsk_socket__fd(xo);
	if (busy) {
		busy_opts(fd);
		if (ofd != fd)
			busy_opts(ofd);
	}
	if (txbudget && setsockopt(ofd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &txbudget, sizeof txbudget))
		perror("XDP_MAX_TX_SKB_BUDGET");
	if (mapfd >= 0) {
		uint32_t k = q0 + w;
		if (bpf_map_update_elem(mapfd, &k, &fd, 0))
			die("xskmap: %s", strerror(errno));
	}
	uint64_t *free_ = malloc(nframes * 8);
	uint32_t nfree = 0;
	for (uint32_t i = 0; i < nframes; i++)
		free_[nfree++] = (uint64_t)i * fsize;
	uint32_t seq = 0, outstanding = 0;
	struct rusage u0, u1;
	getrusage(RUSAGE_THREAD, &u0);
	double t0 = now_s(), t1 = t0;
	for (uint64_t it = 0; !stop_now; it++) {
		if (!(it & 255) && (t1 = now_s()) - t0 >= seconds)
			break;
		uint32_t ix, n;
		if (outstanding && (n = xsk_ring_cons__peek(cq, batch * 2, &ix))) {
			for (uint32_t i = 0; i < n; i++)
				free_[nfree++] = *xsk_ring_cons__comp_addr(cq, ix + i) & ~(uint64_t)(fsize - 1);
			xsk_ring_cons__release(cq, n);
			outstanding -= n;
		}
		if (mode != TX) {
			uint32_t room = xsk_prod_nb_free(&fill, batch);
			if (room > nfree)
				room = nfree;
			if (room >= (uint32_t)batch && xsk_ring_prod__reserve(&fill, room, &ix) == room) {
				for (uint32_t i = 0; i < room; i++)
					*xsk_ring_prod__fill_addr(&fill, ix + i) = free_[--nfree];
				xsk_ring_prod__submit(&fill, room);
			}
		}
		uint32_t k = 0, ox;
		if (mode == TX) {
			k = batch;
			if (nfree >= k && xsk_ring_prod__reserve(&tx, k, &ox) == k) {
				for (uint32_t i = 0; i < k; i++) {
					uint64_t a = free_[--nfree] + 256;
					uint8_t *p = buf + a;
					uint32_t f = seq++ % nflows;
					memcpy(p, dmac, 6);
					memcpy(p + 6, smac, 6);
					uint8_t h[30] = { 8, 0, 0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 9, f >> 22, f >> 14, 192, 0, 2, 1,
						(4 + (f >> 8 & 63)), f, 0, 80, 0, 26, 0, 0 };
					uint16_t ck = fold(0x4500 + 46 + 0x4000 + 0x4011 + 0x0a09 + (h[16] << 8 | h[17]) + 0xc000 + 0x0201);
					h[12] = ck >> 8; h[13] = ck;
					memcpy(p + 12, h, 30);
					struct xdp_desc *d = xsk_ring_prod__tx_desc(&tx, ox + i);
					d->addr = a; d->len = 60; d->options = 0;
				}
				xsk_ring_prod__submit(&tx, k);
				outstanding += k;
				R->tx += k;
			}
		} else {
			k = xsk_ring_cons__peek(&rx, batch, &ix);
			if (!k) {
				R->empty++;
				if (busy)
					recvfrom(fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
				else if (usepoll) {
					struct pollfd p = { .fd = fd, .events = POLLIN };
					poll(&p, 1, 10);
				} else if (xsk_ring_prod__needs_wakeup(&fill))
					recvfrom(fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
				if (!outstanding)
					continue;
			}
			R->rx += k;
			if (mode == DROP) {
				for (uint32_t i = 0; i < k; i++)
					free_[nfree++] = xsk_ring_cons__rx_desc(&rx, ix + i)->addr & ~(uint64_t)(fsize - 1);
				if (k)
					xsk_ring_cons__release(&rx, k);
				continue;
			}
			if (k) {
				uint32_t g = xsk_ring_prod__reserve(&tx, k, &ox);
				for (uint32_t i = 0; i < k; i++) {
					const struct xdp_desc *s = xsk_ring_cons__rx_desc(&rx, ix + i);
					uint64_t a = s->addr;
					uint32_t len = s->len;
					if (!g) {
						free_[nfree++] = a & ~(uint64_t)(fsize - 1);
						continue;
					}
					if (mode == ENCAP) {
						encap(buf + a, len);
						a -= 20; len += 20;
					} else
						swap_macs(buf + a);
					struct xdp_desc *d = xsk_ring_prod__tx_desc(&tx, ox + i);
					d->addr = a; d->len = len; d->options = 0;
				}
				if (g) {
					xsk_ring_prod__submit(&tx, k);
					outstanding += k;
					R->tx += k;
				}
				xsk_ring_cons__release(&rx, k);
			}
		}
		if (outstanding && xsk_ring_prod__needs_wakeup(&tx)) {
			/* one sendto moves at most `budget` frames in copy mode, so a batch may need several */
			uint32_t per = txbudget ? txbudget : 32;
			for (uint32_t sent = 0; !sent || sent < k; sent += per, R->kicks++)
				sendto(ofd, NULL, 0, MSG_DONTWAIT, NULL, 0);
		}
	}
	getrusage(RUSAGE_THREAD, &u1);
	R->t = now_s() - t0;
	R->user = (u1.ru_utime.tv_sec - u0.ru_utime.tv_sec) + (u1.ru_utime.tv_usec - u0.ru_utime.tv_usec) * 1e-6;
	R->sys = (u1.ru_stime.tv_sec - u0.ru_stime.tv_sec) + (u1.ru_stime.tv_usec - u0.ru_stime.tv_usec) * 1e-6;
	if (xo != xs)
		xsk_socket__delete(xo);
	xsk_socket__delete(xs);
	return NULL;
}
int main(int argc, char **argv)
{
	int o;
	while ((o = getopt(argc, argv, "i:o:m:q:n:c:s:b:f:r:SBpT:HD:e:F:")) != -1)
		switch (o) {
		case 'i': ifn = optarg; break;
		case 'o': ofn = optarg; break;
		case 'm': mode = !strcmp(optarg, "drop") ? DROP : !strcmp(optarg, "fwd") ? FWD :
			!strcmp(optarg, "encap") ? ENCAP : !strcmp(optarg, "tx") ? TX : (die("mode?"), FWD); break;
		case 'q': q0 = atoi(optarg); break;
		case 'n': nq = atoi(optarg); break;
		case 'c': cpu0 = atoi(optarg); break;
		case 's': seconds = atof(optarg); break;
		case 'b': batch = atoi(optarg); break;
		case 'f': fsize = atoi(optarg); break;
		case 'r': ring = atoi(optarg); break;
		case 'S': skb = 1; break;
		case 'B': busy = 1; break;
		case 'p': usepoll = 1; break;
		case 'T': txbudget = atoi(optarg); break;
		case 'H': huge = 1; break;
		case 'D': mac_of(optarg, dmac); break;
		case 'e': mac_of(optarg, smac); break;
		case 'F': nflows = atoi(optarg); break;
		default: return 2;
		}
	if (!ifn || !(ifi = if_nametoindex(ifn)) || nq < 1 || nq > 64)
		die("give -i IF");
	catch_signals();
	uint32_t fl = skb ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	if (mode != TX) {
		struct bpf_object *obj = bpf_object__open_file(obj_path("redirect.o"), NULL);
		if (!obj || bpf_object__load(obj))
			die("redirect.o");
		mapfd = bpf_object__find_map_fd_by_name(obj, "xsks");
		int e = bpf_xdp_attach(ifi, bpf_program__fd(bpf_object__find_program_by_name(obj, "redir")), fl, NULL);
		if (e)
			die("attach: %s", strerror(-e));
	}
	pthread_t th[64];
	for (long w = 1; w < nq; w++)
		pthread_create(&th[w], NULL, worker, (void *)w);
	worker((void *)0);
	for (long w = 1; w < nq; w++)
		pthread_join(th[w], NULL);
	if (mode != TX)
		bpf_xdp_detach(ifi, fl, NULL);
	struct res s = { 0 };
	for (int w = 0; w < nq; w++) {
		s.rx += out[w].rx; s.tx += out[w].tx; s.kicks += out[w].kicks; s.empty += out[w].empty;
		s.user += out[w].user; s.sys += out[w].sys;
		if (out[w].t > s.t)
			s.t = out[w].t;
	}
	printf("{\"rx_pps\":%.0f,\"tx_pps\":%.0f,\"kicks_per_s\":%.0f,\"empty_per_s\":%.0f,\"user_s\":%.2f,\"sys_s\":%.2f,\"seconds\":%.2f}\n",
	       s.rx / s.t, s.tx / s.t, s.kicks / s.t, s.empty / s.t, s.user, s.sys, s.t);
	return 0;
}
