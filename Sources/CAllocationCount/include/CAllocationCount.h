/* SPDX-License-Identifier: Apache-2.0 */
/* Counts calls of the allocator, so that `xdplb bench` can say how many the pipeline makes. */
#pragma once

#include <stdint.h>

/* Blocks that the calling thread was given since it began: malloc, calloc, realloc and the
 * aligned ones, of this program and of every library in it, the Swift runtime among them. */
uint64_t callocation_count(void);
