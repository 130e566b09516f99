// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CPlatform.h"

#include <string.h>

const char *cplatform_error_name(int error)
{
	/* The kernel's own number for "operation not supported", which no libc names. */
	return error == 524 ? "ENOTSUPP" : strerrorname_np(error);
}
