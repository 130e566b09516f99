// SPDX-License-Identifier: Apache-2.0
#include "CPlatform.h"

#include <errno.h>
#include <sys/socket.h>
#include <linux/netlink.h>

int cplatform_netlink_bind(int fd)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };

	return bind(fd, (struct sockaddr *)&address, sizeof address) ? errno : 0;
}
