/* SPDX-License-Identifier: Apache-2.0 */
/* xgen: traffic generator on live frames (BPF_PROG_TEST_RUN + BPF_F_TEST_XDP_LIVE_FRAMES).
 *
 *   xgen -i IF -D dmac -S smac [-a first-client] [-d vip] [-p port] [-P udp|tcp] [-F tcpflags]
 *        [-f flows] [-l framelen] [-r capture.pcap] [-s seconds] [-n packets] [-R pps]
 *        [-t threads] [-c first-cpu] [-b batch]
 *   xgen -T pinned-prog [...]  time a pinned XDP program over the flow set (no traffic at all)
 *
 * Prints one JSON line. It ends by itself after the given seconds or packets.
 */
#include "util.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/common.h"

static struct gen_cfg cfg = { .nflows = 1, .proto = 17, .tcp_flags = 0x10, .framelen = 60 };
static int threads = 1, first_cpu = 0, batch = 64, ifindex, prog_fd;
static double seconds = 5, rate;
static uint64_t limit;
static struct { double t; } done[64];

static uint64_t load_pcap(const char *path, unsigned *slot, uint8_t **out)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		die("%s: %s", path, strerror(errno));
	uint32_t h[6], r[4];
	if (fread(h, 4, 6, f) != 6 || (h[0] != 0xa1b2c3d4 && h[0] != 0xa1b23c4d) || h[5] != 1)
		die("%s: not a little-endian Ethernet pcap", path);
	uint64_t n = 0;
	unsigned max = 60;
	while (fread(r, 4, 4, f) == 4) {
		if (r[2] > 3000)
			die("%s: frame of %u bytes", path, r[2]);
		if (r[2] > max)
			max = r[2];
		n++;
		fseek(f, r[2], SEEK_CUR);
	}
	if (!n)
		die("%s: no frames", path);
	*slot = (max + 7) & ~7u;
	size_t st = *slot + 8;
	*out = calloc(n, st);
	fseek(f, 24, SEEK_SET);
	for (uint64_t i = 0; i < n && fread(r, 4, 4, f) == 4; i++) {
		*(uint32_t *)(*out + i * st) = r[2] < 14 ? 14 : r[2];
		if (fread(*out + i * st + 8, 1, r[2], f) != r[2])
			die("%s: short", path);
	}
	fclose(f);
	return n;
}

/* Every test-run call sets up and tears down a page pool and waits for RCU (25 ms and more), so a
 * thread makes a single call and is interrupted by a signal at the end; what it sent is read from the
 * program's own sequence number. Pacing (-R) is done inside the program. */
static volatile int finished[64];
static void *worker(void *arg)
{
	long t = (long)arg;
	pin_to(first_cpu + t);
	uint8_t pkt[3072] = { 0 };
	struct xdp_md ctx = { .data_end = cfg.framelen, .ingress_ifindex = ifindex, .rx_queue_index = t };
	double t0 = now_s();
	uint64_t n = 0;
	do {
		uint64_t c = limit ? limit - n : 0x7fffffff;
		LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = pkt, .data_size_in = cfg.framelen,
			    .ctx_in = &ctx, .ctx_size_in = sizeof ctx, .repeat = c,
			    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = batch);
		int e = bpf_prog_test_run_opts(prog_fd, &o);
		if (e && e != -EINTR && e != -EAGAIN)
			die("test run: %s", strerror(-e));
		n += c;
	} while (!stop_now && now_s() - t0 < seconds && (!limit || n < limit));
	done[t].t = now_s() - t0;
	finished[t] = 1;
	return NULL;
}

static int cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}
static double timed(int fd, unsigned repeat)
{
	uint8_t pkt[3072] = { 0 }, res[4096];
	struct xdp_md ctx = { .data_end = cfg.framelen };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = pkt, .data_size_in = cfg.framelen, .ctx_in = &ctx,
		    .ctx_size_in = sizeof ctx, .data_out = res, .data_size_out = sizeof res, .repeat = repeat);
	int e = bpf_prog_test_run_opts(fd, &o);
	if (e)
		die("test run: %s", strerror(-e));
	if (o.retval != 3 /* XDP_TX */)
		fprintf(stderr, "warning: program returned %u\n", o.retval);
	return o.duration;
}

int main(int argc, char **argv)
{
	const char *ifn = NULL, *pcap = NULL, *target = NULL, *base = NULL;
	struct in_addr a;
	int o, repeat = 1000000, rounds = 11;
	inet_aton("10.9.0.1", &a);
	cfg.saddr_base = ntohl(a.s_addr);
	inet_aton("192.0.2.1", &a);
	cfg.daddr = a.s_addr;
	cfg.dport = htons(80);
	while ((o = getopt(argc, argv, "i:D:S:a:d:p:P:F:f:l:r:s:n:R:t:c:b:T:B:N:k:")) != -1)
		switch (o) {
		case 'i': ifn = optarg; break;
		case 'D': mac_of(optarg, cfg.dmac); break;
		case 'S': mac_of(optarg, cfg.smac); break;
		case 'a': inet_aton(optarg, &a); cfg.saddr_base = ntohl(a.s_addr); break;
		case 'd': inet_aton(optarg, &a); cfg.daddr = a.s_addr; break;
		case 'p': cfg.dport = htons(atoi(optarg)); break;
		case 'P': cfg.proto = strcmp(optarg, "tcp") ? 17 : 6; break;
		case 'F': cfg.tcp_flags = strtol(optarg, NULL, 0); break;
		case 'f': cfg.nflows = atoi(optarg); break;
		case 'l': cfg.framelen = atoi(optarg); break;
		case 'r': pcap = optarg; break;
		case 's': seconds = atof(optarg); break;
		case 'n': limit = strtoull(optarg, NULL, 0); break;
		case 'R': rate = atof(optarg); break;
		case 't': threads = atoi(optarg); break;
		case 'c': first_cpu = atoi(optarg); break;
		case 'b': batch = atoi(optarg); break;
		case 'T': target = optarg; break;
		case 'B': base = optarg; break;
		case 'N': repeat = atoi(optarg); break;
		case 'k': rounds = atoi(optarg); break;
		default: return 2;
		}
	if (!ifn && !target)
		die("give -i or -T");
	if (threads < 1 || threads > 64 || cfg.framelen < 60 || cfg.framelen > 2000 || !cfg.nflows)
		die("bad number");
	catch_signals();
	if (rate > 0) {
		cfg.gap_ns = 1e9 * threads / rate;
		if (batch > rate / threads / 10000) /* the batch runs with softirqs off: keep it near 100 us */
			batch = rate / threads / 10000 < 1 ? 1 : rate / threads / 10000;
	}
	uint8_t *data = NULL;
	if (ifn) {
		ifindex = if_nametoindex(ifn);
		if (!ifindex)
			die("no interface %s", ifn);
		cfg.out_ifindex = ifindex;
	}
	if (pcap)
		cfg.npkts = load_pcap(pcap, &cfg.slot, &data);
	/* constant parts of the checksums, in host order words */
	uint32_t da = ntohl(cfg.daddr);
	cfg.ip_sum = 0x4500 + (cfg.framelen - 14) + (0x4000 | cfg.proto) + (da >> 16) + (da & 0xffff);
	uint32_t l4 = cfg.framelen - 34;
	cfg.l4_sum = (da >> 16) + (da & 0xffff) + cfg.proto + l4 + ntohs(cfg.dport);
	cfg.l4_sum += cfg.proto == 6 ? 1u + 1 + (0x5000 | cfg.tcp_flags) + 0x2000 : l4;

	struct bpf_object *obj = bpf_object__open_file(obj_path("xgen.o"), NULL);
	if (!obj)
		die("open xgen.o: %s", strerror(errno));
	struct bpf_map *m, *ro = NULL, *pk = NULL;
	bpf_object__for_each_map(m, obj) {
		if (strstr(bpf_map__name(m), "rodata"))
			ro = m;
		if (!strcmp(bpf_map__name(m), "pkts"))
			pk = m;
	}
	size_t st = cfg.slot + 8;
	if (pcap) {
		bpf_map__set_value_size(pk, st);
		bpf_map__set_max_entries(pk, cfg.npkts);
	}
	if (!ro || bpf_map__set_initial_value(ro, &cfg, sizeof cfg))
		die("rodata");
	if (bpf_object__load(obj))
		die("load xgen.o");
	for (uint64_t i = 0; pcap && i < cfg.npkts; i++) {
		uint32_t k = i;
		if (bpf_map_update_elem(bpf_map__fd(pk), &k, data + i * st, 0))
			die("pkts: %s", strerror(errno));
	}
	int sfd = bpf_object__find_map_fd_by_name(obj, "states");
	for (uint32_t t = 0; t < (uint32_t)threads; t++) {
		struct { uint64_t seq, stride, due; } s = { t, threads, 0 };
		bpf_map_update_elem(sfd, &t, &s, 0);
	}
	if (target) {
		int tfd = bpf_object__find_map_fd_by_name(obj, "target"), fd = bpf_obj_get(target), bfd = -1;
		int vfd = bpf_program__fd(bpf_object__find_program_by_name(obj, "vary"));
		if (fd < 0 || (base && (bfd = bpf_obj_get(base)) < 0))
			die("pinned program: %s", strerror(errno));
		pin_to(first_cpu);
		uint32_t k = 0;
		double a[rounds], b[rounds], d[rounds];
		/* one warm pass over all flows */
		bpf_map_update_elem(tfd, &k, &fd, 0);
		timed(vfd, cfg.nflows > 1000 ? cfg.nflows * 2 : 2000);
		for (int i = 0; i < rounds && !stop_now; i++) {
			b[i] = 0;
			if (bfd >= 0) {
				bpf_map_update_elem(tfd, &k, &bfd, 0);
				b[i] = timed(vfd, repeat);
			}
			bpf_map_update_elem(tfd, &k, &fd, 0);
			a[i] = timed(vfd, repeat);
			d[i] = a[i] - b[i];
		}
		qsort(a, rounds, 8, cmp); qsort(b, rounds, 8, cmp); qsort(d, rounds, 8, cmp);
		printf("{\"flows\":%u,\"proto\":%u,\"tcp_flags\":%u,\"repeat\":%d,\"with_wrapper_ns\":[%g,%g,%g],"
		       "\"base_ns\":[%g,%g,%g],\"net_ns\":[%g,%g,%g]}\n", cfg.nflows, cfg.proto, cfg.tcp_flags, repeat,
		       a[0], a[rounds / 2], a[rounds - 1], b[0], b[rounds / 2], b[rounds - 1],
		       d[0], d[rounds / 2], d[rounds - 1]);
		return 0;
	}
	prog_fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "gen"));
	pthread_t th[64];
	struct sigaction sa = { .sa_handler = on_signal }; /* no SA_RESTART: it must interrupt the call */
	sigaction(SIGUSR1, &sa, NULL);
	double t0 = now_s();
	for (long t = 0; t < threads; t++)
		pthread_create(&th[t], NULL, worker, (void *)t);
	int left = 1;
	while (left) {
		usleep(10000);
		left = 0;
		for (long t = 0; t < threads; t++)
			if (!finished[t]) {
				left++;
				if (stop_now || now_s() - t0 >= seconds)
					pthread_kill(th[t], SIGUSR1);
			}
	}
	uint64_t n = 0;
	double dt = 0;
	for (uint32_t t = 0; t < (uint32_t)threads; t++) {
		struct { uint64_t seq, stride, due; } s = { 0 };
		pthread_join(th[t], NULL);
		bpf_map_lookup_elem(sfd, &t, &s);
		n += (s.seq - t) / threads;
		if (done[t].t > dt)
			dt = done[t].t;
	}
	printf("{\"sent\":%llu,\"seconds\":%.3f,\"pps\":%.0f}\n", (unsigned long long)n, dt, n / dt);
	return 0;
}
