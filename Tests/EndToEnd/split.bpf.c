// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Spreads packets over two queues as RSS would: requests by their source port, replies by their
 * destination port, so that half of the replies arrive on a queue other than the one their connection's
 * requests arrived on. On the egress of the port to the load balancer, where veth would use one queue
 * behind a bridge, and behind a router another one whenever the sender's TCP sends again.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

static int is_fragment(struct __sk_buff *skb)
{
	__u16 field = 0;
	__u8 next = 0;

	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return !bpf_skb_load_bytes(skb, ETH_HLEN + 6, &next, 1) && next == 44;
	return !bpf_skb_load_bytes(skb, ETH_HLEN + 6, &field, 2) && field & bpf_htons(0x3fff);
}

SEC("tc")
int split(struct __sk_buff *skb)
{
	__u32 ports = ETH_HLEN + (skb->protocol == bpf_htons(ETH_P_IPV6) ? 40 : 20);
	__u8 source = 0, destination = 0;

	/* Of fragments only the first has ports: all of them stay where they are, as hashed by their addresses. */
	if (is_fragment(skb))
		return TC_ACT_OK;
	/* The low bytes of both ports, behind a header without options. */
	if (bpf_skb_load_bytes(skb, ports + 1, &source, 1) ||
	    bpf_skb_load_bytes(skb, ports + 3, &destination, 1))
		return TC_ACT_OK;
	/* One more than the queue: as if the packet had been received on it. Linux gives clients
	 * even ports. */
	skb->queue_mapping = 1 + ((source >> 1 ^ destination) & 1);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
