// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CPlatform.h"

#include <pthread.h>
#include <sched.h>

int cplatform_name_and_pin_thread(const char *name, int cpu)
{
	int error = pthread_setname_np(pthread_self(), name);

	if (error || cpu < 0)
		return error;

	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
}
