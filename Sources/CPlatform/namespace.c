// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

int cplatform_enter_network_namespace(const char *path)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0)
		return errno;

	int result = setns(file, CLONE_NEWNET);
	int error = result ? errno : 0;

	close(file);
	if (error)
		return error;

	/* A sysfs shows the interfaces of the namespace it was mounted in. */
	if (unshare(CLONE_NEWNS) || mount("", "/", "none", MS_SLAVE | MS_REC, NULL) ||
	    mount("xdplb", "/sys", "sysfs", 0, NULL))
		return errno;
	return 0;
}
