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

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "steer_maps.h"

/* <bits/socket.h> and <asm-generic/socket.h> have these in different releases (Linux 5.11). */
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#define SO_BUSY_POLL_BUDGET 70
#endif

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

/* Which of the sixteen words of a bucket are zero, one bit each. */
static inline __attribute__((always_inline)) __u32 xdplb_zero_words(const __u32 *_Nonnull words)
{
#ifdef __SSE2__
	const __m128i zero = _mm_setzero_si128();
	const __m128i *quarter = (const __m128i *)words;
	const __m128i first = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_loadu_si128(quarter), zero),
					      _mm_cmpeq_epi32(_mm_loadu_si128(quarter + 1), zero));
	const __m128i second = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_loadu_si128(quarter + 2), zero),
					       _mm_cmpeq_epi32(_mm_loadu_si128(quarter + 3), zero));

	return (__u32)_mm_movemask_epi8(_mm_packs_epi16(first, second));
#else
	__u32 zeros = 0;

	for (int i = 0; i < 16; i++)
		zeros |= (__u32)(words[i] == 0) << i;
	return zeros;
#endif
}

/* Which of eight words have `tag` in their uppermost byte, two bits each: half a bucket of the
 * connection table in one step, as a loop with an exit in the middle is guessed wrong too often. */
static inline __attribute__((always_inline)) __u32
xdplb_tag_matches(const __u32 *_Nonnull words, __u32 tag)
{
#ifdef __SSE2__
	const __m128i mask = _mm_set1_epi32((int)0xff000000);
	const __m128i wanted = _mm_set1_epi32((int)tag);
	const __m128i *half = (const __m128i *)words;
	const __m128i first = _mm_and_si128(_mm_loadu_si128(half), mask);
	const __m128i second = _mm_and_si128(_mm_loadu_si128(half + 1), mask);

	return (__u32)_mm_movemask_epi8(_mm_packs_epi32(_mm_cmpeq_epi32(first, wanted),
							_mm_cmpeq_epi32(second, wanted)));
#else
	__u32 matches = 0;

	for (int i = 0; i < 8; i++)
		matches |= (__u32)((words[i] & 0xff000000) == tag) * 3 << (2 * i);
	return matches;
#endif
}
