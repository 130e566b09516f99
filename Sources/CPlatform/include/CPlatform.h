/* SPDX-License-Identifier: Apache-2.0 */
/* What Swift cannot import: _GNU_SOURCE functions, ioctl, function-like macros. */
#pragma once

#include <stdint.h>

/* Names the calling thread (at most 15 bytes) and pins it to `cpu`, or to none when negative.
 * Returns 0 or an errno value. */
int cplatform_name_and_pin_thread(const char *_Nonnull name, int cpu);
