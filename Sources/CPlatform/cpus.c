// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CPlatform.h"

#include <sched.h>

int cplatform_allowed_cpus(int *cpus, int capacity)
{
	cpu_set_t allowed;
	int count = 0;

	if (sched_getaffinity(0, sizeof allowed, &allowed))
		return 0;
	for (int cpu = 0; cpu < CPU_SETSIZE && count < capacity; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			cpus[count++] = cpu;
	return count;
}
