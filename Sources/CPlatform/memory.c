// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CPlatform.h"

#include <linux/memfd.h>
#include <sys/mman.h>

int cplatform_memfd(const char *name, int huge)
{
	return memfd_create(name, MFD_CLOEXEC | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0));
}
