/* SPDX-License-Identifier: Apache-2.0 */
/* Frame generator for BPF_PROG_TEST_RUN with live frames: writes one frame of a synthetic flow
 * set (5-tuple = client address + source port), or one frame of a loaded capture, and sends it. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "common.h"

const volatile struct gen_cfg cfg;

struct state { __u64 seq, stride, due; };
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct state);
} states SEC(".maps"); /* per generating thread; the thread's number is in rx_queue_index */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__uint(value_size, 64);
} pkts SEC(".maps"); /* replay: u32 length, u32 zero, then `slot` bytes; resized by the loader */

static __always_inline __u16 fold(__u32 s)
{
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (__u16)~s;
}
static __always_inline int out(void)
{
	return cfg.out_ifindex ? bpf_redirect(cfg.out_ifindex, 0) : XDP_TX;
}

/* Pacing: spin until the frame is due (a late frame moves the schedule, it is not caught up). */
static long is_due(__u32 i, __u64 *due) { return bpf_ktime_get_ns() >= *due; }
static __always_inline void pace(struct state *st)
{
	__u64 due = st->due, now = bpf_ktime_get_ns();
	if (due + 1000000 < now)
		due = now;
	st->due = due + cfg.gap_ns;
	if (now < due)
		bpf_loop(1 << 23, is_due, &due, 0);
}

/* Put a frame's first 54 bytes for flow f at d. 14336 ports per client address. */
static __always_inline void put(__u8 *d, __u32 f)
{
	__u32 ip = cfg.saddr_base + f / 14336;
	__u16 sport = 1024 + f % 14336 * 4;
	*(__u16 *)(d + 0) = *(const volatile __u16 *)&cfg.dmac[0];
	*(__u16 *)(d + 2) = *(const volatile __u16 *)&cfg.dmac[2];
	*(__u16 *)(d + 4) = *(const volatile __u16 *)&cfg.dmac[4];
	*(__u16 *)(d + 6) = *(const volatile __u16 *)&cfg.smac[0];
	*(__u16 *)(d + 8) = *(const volatile __u16 *)&cfg.smac[2];
	*(__u16 *)(d + 10) = *(const volatile __u16 *)&cfg.smac[4];
	*(__u16 *)(d + 12) = bpf_htons(ETH_P_IP);
	*(__u16 *)(d + 14) = bpf_htons(0x4500);
	*(__u16 *)(d + 16) = bpf_htons(cfg.framelen - 14);
	*(__u32 *)(d + 18) = 0;
	*(__u16 *)(d + 22) = bpf_htons(0x4000 | cfg.proto);
	__u32 s = (ip >> 16) + (ip & 0xffff);
	*(__u16 *)(d + 24) = bpf_htons(fold(cfg.ip_sum + s));
	*(__u16 *)(d + 26) = bpf_htons(ip >> 16);
	*(__u16 *)(d + 28) = bpf_htons(ip & 0xffff);
	__u32 da = cfg.daddr;
	*(__u16 *)(d + 30) = (__u16)da;
	*(__u16 *)(d + 32) = (__u16)(da >> 16);
	*(__u16 *)(d + 34) = bpf_htons(sport);
	*(__u16 *)(d + 36) = cfg.dport;
	__u16 ck = bpf_htons(fold(cfg.l4_sum + s + sport));
	if (cfg.proto == 6) {
		*(__u32 *)(d + 38) = bpf_htonl(1);
		*(__u32 *)(d + 42) = bpf_htonl(1);
		*(__u16 *)(d + 46) = bpf_htons(0x5000 | cfg.tcp_flags);
		*(__u16 *)(d + 48) = bpf_htons(0x2000);
		*(__u16 *)(d + 50) = ck;
		*(__u16 *)(d + 52) = 0;
	} else {
		*(__u16 *)(d + 38) = bpf_htons(cfg.framelen - 34);
		*(__u16 *)(d + 40) = ck ? ck : 0xffff;
	}
}

SEC("xdp")
int gen(struct xdp_md *c)
{
	__u32 k = c->rx_queue_index;
	struct state *st = bpf_map_lookup_elem(&states, &k);
	if (!st)
		return XDP_ABORTED;
	__u64 n = st->seq;
	st->seq = n + st->stride;
	if (cfg.gap_ns)
		pace(st);
	if (cfg.npkts) {
		__u32 i = n % cfg.npkts;
		__u8 *v = bpf_map_lookup_elem(&pkts, &i);
		if (!v)
			return XDP_ABORTED;
		__u32 len = *(__u32 *)v, have = c->data_end - c->data;
		if (len > cfg.slot || len < 14)
			return XDP_ABORTED;
		if (have != len && bpf_xdp_adjust_tail(c, (int)len - (int)have))
			return XDP_ABORTED;
		if (bpf_xdp_store_bytes(c, 0, v + 8, len))
			return XDP_ABORTED;
		return out();
	}
	__u8 *d = (void *)(long)c->data;
	if (d + 54 > (__u8 *)(long)c->data_end)
		return XDP_ABORTED;
	put(d, (__u32)(n % cfg.nflows));
	return out();
}

/* For timing another XDP program over many flows with a plain BPF_PROG_TEST_RUN: a test run
 * gives the same buffer to every repeat, so take off what the program under test put in front
 * (want = the original length), write the next flow's headers, and tail-call the program. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

SEC("xdp")
int vary(struct xdp_md *c)
{
	__u32 k = 0;
	struct state *st = bpf_map_lookup_elem(&states, &k);
	if (!st)
		return XDP_ABORTED;
	__u64 n = st->seq;
	st->seq = n + st->stride;
	int extra = (int)(c->data_end - c->data) - (int)cfg.framelen;
	if (extra && bpf_xdp_adjust_head(c, extra))
		return XDP_ABORTED;
	__u8 *d = (void *)(long)c->data;
	if (d + 54 > (__u8 *)(long)c->data_end)
		return XDP_ABORTED;
	put(d, (__u32)(n % cfg.nflows));
	bpf_tail_call(c, &target, 0);
	return XDP_ABORTED;
}
char _license[] SEC("license") = "GPL";
