// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Spreads packets over two queues as RSS would, where veth would use one: requests by their source
 * port, replies by their destination port, so that half of the replies arrive on a queue other than
 * the one their connection's requests arrived on. On the egress of the switch's port.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int split(struct __sk_buff *skb)
{
	__u8 source = 0, destination = 0;

	/* The low bytes of both ports, behind a header without options. */
	if (bpf_skb_load_bytes(skb, ETH_HLEN + 21, &source, 1) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + 23, &destination, 1))
		return TC_ACT_OK;
	/* One more than the queue: as if the packet had been received on it. Linux gives clients
	 * even ports. */
	skb->queue_mapping = 1 + ((source >> 1 ^ destination) & 1);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
