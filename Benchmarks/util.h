/* SPDX-License-Identifier: Apache-2.0 */
/* What the harness's programs share. */
#ifndef XPB_UTIL_H
#define XPB_UTIL_H
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>

static volatile sig_atomic_t stop_now;
static void on_signal(int s) { (void)s; stop_now = 1; }
static inline void catch_signals(void) { signal(SIGINT, on_signal); signal(SIGTERM, on_signal); }
static inline double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}
static inline void pin_to(int cpu)
{
	if (cpu < 0)
		return;
	cpu_set_t s;
	CPU_ZERO(&s);
	CPU_SET(cpu, &s);
	if (sched_setaffinity(0, sizeof s, &s))
		perror("sched_setaffinity");
}
static inline void die(const char *f, ...)
{
	va_list a;
	va_start(a, f);
	vfprintf(stderr, f, a);
	va_end(a);
	fputc('\n', stderr);
	exit(1);
}
static inline void mac_of(const char *s, unsigned char m[6])
{
	if (sscanf(s, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6)
		die("bad MAC address %s", s);
}
/* Directory of the running program, for the BPF objects next to it. */
static inline const char *obj_path(const char *name)
{
	static char b[4096];
	ssize_t n = readlink("/proc/self/exe", b, sizeof b - 64);
	if (n < 0)
		die("readlink");
	b[n] = 0;
	char *s = strrchr(b, '/');
	snprintf(s + 1, 60, "%s", name);
	return b;
}
#endif
