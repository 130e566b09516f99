// SPDX-License-Identifier: Apache-2.0
#include "CPlatform.h"

#include <time.h>

uint64_t cplatform_monotonic_microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
