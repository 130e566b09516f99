/* SPDX-License-Identifier: Apache-2.0 */
/* Shared between the BPF programs and their userspace loaders. */
#ifndef XPB_COMMON_H
#define XPB_COMMON_H

#define SINK_TOTAL 0
#define SINK_BYTES 1
#define SINK_IPIP 2   /* IPv4 with protocol 4 */
#define SINK_UDP 3
#define SINK_TCP 4
#define SINK_OTHER 5
#define SINK_NCTR 6

/* xgen configuration (read-only data of the generator program). */
struct gen_cfg {
	unsigned int out_ifindex;  /* 0: XDP_TX (out of the ingress device) */
	unsigned int nflows;       /* synthetic mode: number of 5-tuples */
	unsigned int npkts;        /* replay mode: number of slots in `pkts`; 0 = synthetic */
	unsigned int slot;         /* replay mode: bytes of one slot's data */
	unsigned int saddr_base;   /* host order: first client address */
	unsigned int daddr;        /* network order: VIP */
	unsigned short dport;      /* network order */
	unsigned char proto;       /* 6 or 17 */
	unsigned char tcp_flags;
	unsigned char dmac[6];
	unsigned char smac[6];
	unsigned short framelen;   /* without FCS, >= 60 */
	unsigned short _pad;
	unsigned int ip_sum;       /* partial sum of the constant IPv4 header words */
	unsigned int l4_sum;       /* partial sum of the constant L4 + pseudo header words */
	unsigned long long gap_ns; /* time between two frames of one thread; 0 = as fast as it goes */
};
#endif
