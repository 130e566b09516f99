/* SPDX-License-Identifier: Apache-2.0 */
/* libxdp, libbpf and libnuma for Swift, and the few things their headers lack. */
#pragma once

#include <errno.h>
#include <net/if.h>
#include <sys/socket.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>
#include <xdp/xsk.h>
#include <numa.h>

#include "steer_maps.h"

/* Debian 12's <linux/if_xdp.h> is older than these (6.17). */
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

/* A ring index that the kernel moves, for counting only: `xsk.h` does its own acquire loads. */
static inline __attribute__((always_inline)) __u32 xdplb_load_index(const __u32 *_Nonnull index)
{
	return __atomic_load_n(index, __ATOMIC_RELAXED);
}

/* One instruction; _mm_prefetch is a macro, which Swift does not import. */
static inline __attribute__((always_inline)) void xdplb_prefetch(const void *_Nonnull address)
{
	__builtin_prefetch(address, 1, 3);
}

/* The processor's clock, after all that came before: for intervals of less than a microsecond. */
static inline __attribute__((always_inline)) __u64 xdplb_cycles(void)
{
#if defined(__x86_64__)
	__builtin_ia32_lfence();
	__u64 now = __builtin_ia32_rdtsc();
	__builtin_ia32_lfence();
#else
	__u64 now;
	__asm__ volatile("isb; mrs %0, cntvct_el0; isb" : "=r"(now) : : "memory");
#endif
	return now;
}
