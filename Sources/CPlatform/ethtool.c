// SPDX-License-Identifier: Apache-2.0
#include "CPlatform.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* One request about an interface; 0 or an errno value. */
static int ask(unsigned long request, const char *interface, struct ifreq *answer, void *data)
{
	size_t length = strlen(interface);

	if (length >= sizeof answer->ifr_name)
		return ENODEV;

	int channel = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (channel < 0)
		return errno;
	memset(answer, 0, sizeof *answer);
	memcpy(answer->ifr_name, interface, length);
	if (data)
		answer->ifr_data = data;

	int error = ioctl(channel, request, answer) ? errno : 0;

	close(channel);
	return error;
}

int cplatform_driver(const char *interface, char *name, int size)
{
	struct ethtool_drvinfo information = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq answer;
	int error = ask(SIOCETHTOOL, interface, &answer, &information);

	if (error)
		return error;
	snprintf(name, size, "%s", information.driver);
	return 0;
}

int cplatform_channels(const char *interface, struct cplatform_channels *channels)
{
	struct ethtool_channels got = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq answer;
	int error = ask(SIOCETHTOOL, interface, &answer, &got);

	if (error)
		return error;
	*channels = (struct cplatform_channels){
		.combined = got.combined_count, .max_combined = got.max_combined,
		.rx = got.rx_count, .max_rx = got.max_rx,
		.tx = got.tx_count, .max_tx = got.max_tx,
	};
	return 0;
}

int cplatform_rings(const char *interface, struct cplatform_rings *rings)
{
	struct ethtool_ringparam got = { .cmd = ETHTOOL_GRINGPARAM };
	struct ifreq answer;
	int error = ask(SIOCETHTOOL, interface, &answer, &got);

	if (error)
		return error;
	*rings = (struct cplatform_rings){
		.rx = got.rx_pending, .max_rx = got.rx_max_pending,
		.tx = got.tx_pending, .max_tx = got.tx_max_pending,
	};
	return 0;
}
