/* SPDX-License-Identifier: Apache-2.0 */
/* sink: count frames that arrive on an interface with an XDP program that drops them.
 *
 *   sink -i IF [-s seconds] [-w warmup] [-e every] [-c cpu] [-S] [-b] [-m sink|drop|pass|stats]
 *
 * Prints one JSON line with the rate of every interval (median, min, max) and the classes seen.
 * -m stats attaches nothing and reads the interface's rx_packets; -m drop|pass likewise count
 * by rx_packets with the named program attached. -S uses generic (skb) mode. -b adds the frames per
 * last octet of the outermost IPv4 destination (which backend got how many).
 */
#include "util.h"
#include <net/if.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include "bpf/common.h"

static const char *ifn;
static uint64_t sysstat(const char *what)
{
	char p[256];
	snprintf(p, sizeof p, "/sys/class/net/%s/statistics/%s", ifn, what);
	FILE *f = fopen(p, "r");
	unsigned long long v = 0;
	if (f) {
		if (fscanf(f, "%llu", &v) != 1)
			v = 0;
		fclose(f);
	}
	return v;
}
static int ncpu, cfd = -1;
static void read_ctr(uint64_t out[SINK_NCTR])
{
	memset(out, 0, SINK_NCTR * 8);
	if (cfd < 0) {
		out[0] = sysstat("rx_packets");
		return;
	}
	uint64_t v[ncpu];
	for (uint32_t k = 0; k < SINK_NCTR; k++)
		if (!bpf_map_lookup_elem(cfd, &k, v))
			for (int i = 0; i < ncpu; i++)
				out[k] += v[i];
}
static int cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}
int main(int argc, char **argv)
{
	double secs = 5, warm = 1, every = 0.5;
	int o, skb = 0, cpu = -1, spread = 0;
	const char *mode = "sink";
	while ((o = getopt(argc, argv, "i:s:w:e:c:Sm:b")) != -1)
		switch (o) {
		case 'i': ifn = optarg; break;
		case 's': secs = atof(optarg); break;
		case 'w': warm = atof(optarg); break;
		case 'e': every = atof(optarg); break;
		case 'c': cpu = atoi(optarg); break;
		case 'S': skb = 1; break;
		case 'b': spread = 1; break;
		case 'm': mode = optarg; break;
		default: return 2;
		}
	int ifi = ifn ? if_nametoindex(ifn) : 0;
	if (!ifi)
		die("give -i IF");
	catch_signals();
	pin_to(cpu);
	ncpu = libbpf_num_possible_cpus();
	struct bpf_object *obj = NULL;
	uint32_t fl = skb ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	if (strcmp(mode, "stats")) {
		obj = bpf_object__open_file(obj_path("sink.o"), NULL);
		if (!obj || bpf_object__load(obj))
			die("sink.o");
		struct bpf_program *p = bpf_object__find_program_by_name(obj, mode);
		if (!p || bpf_xdp_attach(ifi, bpf_program__fd(p), fl, NULL))
			die("attach %s to %s: %s", mode, ifn, strerror(errno));
		if (!strcmp(mode, "sink"))
			cfd = bpf_object__find_map_fd_by_name(obj, "counters");
	}
	usleep(warm * 1e6);
	uint64_t a[SINK_NCTR], b[SINK_NCTR], f[SINK_NCTR];
	double t0 = now_s(), ta = t0, tb = t0, r[100000];
	int n = 0;
	read_ctr(f);
	memcpy(a, f, sizeof a);
	memcpy(b, f, sizeof b);
	while (!stop_now && tb - t0 < secs && n < 100000) {
		usleep(every * 1e6);
		read_ctr(b);
		tb = now_s();
		r[n++] = (b[0] - a[0]) / (tb - ta);
		memcpy(a, b, sizeof a);
		ta = tb;
	}
	uint64_t per[256] = { 0 }, v[ncpu];
	int bfd = cfd >= 0 && spread ? bpf_object__find_map_fd_by_name(obj, "by_dst") : -1;
	for (uint32_t k = 0; bfd >= 0 && k < 256; k++)
		if (!bpf_map_lookup_elem(bfd, &k, v))
			for (int i = 0; i < ncpu; i++)
				per[k] += v[i];
	if (obj)
		bpf_xdp_detach(ifi, fl, NULL);
	if (!n)
		return 1;
	qsort(r, n, sizeof *r, cmp);
	printf("{\"if\":\"%s\",\"mode\":\"%s\",\"pps\":%.0f,\"min\":%.0f,\"median\":%.0f,\"max\":%.0f,\"samples\":%d,"
	       "\"frames\":%llu,\"ipip\":%llu,\"udp\":%llu,\"tcp\":%llu,\"other\":%llu",
	       ifn, mode, (b[0] - f[0]) / (tb - t0), r[0], r[n / 2], r[n - 1], n,
	       (unsigned long long)(b[0] - f[0]), (unsigned long long)(b[2] - f[2]), (unsigned long long)(b[3] - f[3]),
	       (unsigned long long)(b[4] - f[4]), (unsigned long long)(b[5] - f[5]));
	const char *sep = ",\"by_dst\":{";
	for (int k = 0; bfd >= 0 && k < 256; k++)
		if (per[k]) {
			printf("%s\"%d\":%llu", sep, k, (unsigned long long)per[k]);
			sep = ",";
		}
	puts(*sep == ',' && !sep[1] ? "}}" : "}");
	return 0;
}
