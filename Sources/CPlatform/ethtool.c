// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* One request about an interface, over a socket of its namespace; 0 or an errno value. */
static int ask_over(int channel, const char *interface, void *data)
{
	size_t length = strlen(interface);
	struct ifreq answer = { .ifr_data = data };

	if (length >= sizeof answer.ifr_name)
		return ENODEV;
	memcpy(answer.ifr_name, interface, length);
	return ioctl(channel, SIOCETHTOOL, &answer) ? errno : 0;
}

/* The same about an interface of this namespace. */
static int ask(const char *interface, void *data)
{
	int channel = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (channel < 0)
		return errno;

	int error = ask_over(channel, interface, data);

	close(channel);
	return error;
}

int cplatform_driver(const char *interface, char *name, int size)
{
	struct ethtool_drvinfo information = { .cmd = ETHTOOL_GDRVINFO };
	int error = ask(interface, &information);

	if (error)
		return error;
	snprintf(name, size, "%s", information.driver);
	return 0;
}

int cplatform_channels(const char *interface, struct cplatform_channels *channels)
{
	struct ethtool_channels got = { .cmd = ETHTOOL_GCHANNELS };
	int error = ask(interface, &got);

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
	int error = ask(interface, &got);

	if (error)
		return error;
	*rings = (struct cplatform_rings){
		.rx = got.rx_pending, .max_rx = got.rx_max_pending,
		.tx = got.tx_pending, .max_tx = got.tx_max_pending,
	};
	return 0;
}

/* How many features the kernel has names for; 0 when it does not say. */
static uint32_t feature_count(int channel, const char *interface)
{
	union {
		struct ethtool_sset_info head;
		uint8_t room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
	} sets = { .head = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES } };

	return ask_over(channel, interface, &sets) || !sets.head.sset_mask ? 0 : sets.head.data[0];
}

/* Features come in blocks of 32, as bits; their names are asked for apart. */
static int features_over(int channel, const char *interface, char *names, int size)
{
	uint32_t count = feature_count(channel, interface);
	uint32_t blocks = (count + 31) / 32;
	struct ethtool_gstrings *strings = calloc(1, sizeof *strings + count * ETH_GSTRING_LEN);
	struct ethtool_gfeatures *features =
		calloc(1, sizeof *features + blocks * sizeof features->features[0]);
	int error = count ? strings && features ? 0 : ENOMEM : EOPNOTSUPP;

	if (!error) {
		strings->cmd = ETHTOOL_GSTRINGS;
		strings->string_set = ETH_SS_FEATURES;
		strings->len = count;
		features->cmd = ETHTOOL_GFEATURES;
		features->size = blocks;
		error = ask_over(channel, interface, strings);
	}
	if (!error)
		error = ask_over(channel, interface, features);
	names[0] = 0;
	for (uint32_t i = 0, used = 0; !error && i < count && (int)used < size; i++)
		if (features->features[i / 32].active >> i % 32 & 1)
			used += snprintf(names + used, size - used, "%.*s\n", ETH_GSTRING_LEN,
					 (const char *)strings->data + i * ETH_GSTRING_LEN);
	free(strings);
	free(features);
	return error;
}

int cplatform_features(const char *interface, char *names, int size)
{
	int channel = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (channel < 0)
		return errno;

	int error = features_over(channel, interface, names, size);

	close(channel);
	return error;
}

/* A socket of the network namespace of a file: it stays there when its maker has come back. */
static int socket_elsewhere(const char *namespace_path)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int other = open(namespace_path, O_RDONLY | O_CLOEXEC);
	int channel = -1;
	int error = own < 0 || other < 0 || setns(other, CLONE_NEWNET) ? errno : 0;

	if (!error) {
		channel = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		error = channel < 0 ? errno : 0;
		/* In a foreign namespace nothing that follows would mean what it says. */
		if (setns(own, CLONE_NEWNET))
			abort();
	}
	if (own >= 0)
		close(own);
	if (other >= 0)
		close(other);
	errno = error;
	return channel;
}

int cplatform_features_elsewhere(const char *namespace_path, int index, char *interface,
				 char *names, int size)
{
	struct ifreq found = { .ifr_ifindex = index };
	int channel = socket_elsewhere(namespace_path);

	if (channel < 0)
		return errno;

	int error = ioctl(channel, SIOCGIFNAME, &found) ? errno : 0;

	if (!error) {
		memcpy(interface, found.ifr_name, sizeof found.ifr_name);
		error = features_over(channel, interface, names, size);
	}
	close(channel);
	return error;
}

int cplatform_udp_hash(const char *interface, int is_ipv6, uint64_t *parts)
{
	struct ethtool_rxnfc got = {
		.cmd = ETHTOOL_GRXFH, .flow_type = is_ipv6 ? UDP_V6_FLOW : UDP_V4_FLOW,
	};
	int error = ask(interface, &got);

	*parts = got.data;
	return error;
}

int cplatform_hash_key(const char *interface, uint32_t *byte_count)
{
	/* Without room for table and key, the answer is their sizes. */
	struct ethtool_rxfh got = { .cmd = ETHTOOL_GRSSH };
	int error = ask(interface, &got);

	*byte_count = got.key_size;
	return error;
}
