// SPDX-License-Identifier: Apache-2.0
internal import CXDP

/// Asks for the cache line at `address`; harmless for any address.
@inline(__always)
func prefetch(_ address: UnsafeRawPointer) { unsafe xdplb_prefetch(address) }
