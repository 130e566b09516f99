// SPDX-License-Identifier: Apache-2.0
#include "CPlatform.h"

#include <sys/eventfd.h>

int cplatform_eventfd(void)
{
	return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}
