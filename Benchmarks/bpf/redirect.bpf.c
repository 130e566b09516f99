/* SPDX-License-Identifier: Apache-2.0 */
/* Send every frame of queue q to the AF_XDP socket in slot q; pass when there is none. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");
SEC("xdp")
int redir(struct xdp_md *c) { return bpf_redirect_map(&xsks, c->rx_queue_index, XDP_PASS); }
char _license[] SEC("license") = "GPL";
