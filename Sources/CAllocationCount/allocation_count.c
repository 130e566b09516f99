/* SPDX-License-Identifier: Apache-2.0 */
/* The program's own malloc: a count, then glibc's. A definition in the program comes before that
 * of any library, so nothing that allocates can get past it; free needs no change. */
#include "CAllocationCount.h"

#include <errno.h>
#include <stddef.h>

static _Thread_local uint64_t count;

uint64_t callocation_count(void)
{
	return count;
}

/* A sanitizer has a malloc of its own, which must not be replaced. */
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t members, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
	count++;
	return __libc_malloc(size);
}

void *calloc(size_t members, size_t size)
{
	count++;
	return __libc_calloc(members, size);
}

void *realloc(void *old, size_t size)
{
	count++;
	return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size)
{
	count++;
	return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size)
{
	if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0)
		return EINVAL;
	void *block = memalign(alignment, size);
	if (!block)
		return ENOMEM;
	*result = block;
	return 0;
}

#endif
