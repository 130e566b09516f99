// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane

/// What of the host the daemon uses.
enum HostResources {
    /// CPU of each worker on this host; see ``cpus(configured:workers:allowed:near:)``.
    static func cpus(configured: [Int]?, workers: Int, node: Int? = nil) -> [Int?] {
        cpus(
            configured: configured, workers: workers, allowed: HostSystem.allowedCPUs,
            near: HostSystem.cpus(ofNode: node) ?? [])
    }

    /// CPU of each worker: as configured, else the allowed ones of the NIC's NUMA node and then the
    /// others, the highest first, as interrupts and other work tend to be on the lowest.
    ///
    /// A worker beyond the number of CPUs is not pinned.
    ///
    /// - Parameters:
    ///   - configured: What the configuration names.
    ///   - workers: Workers there are.
    ///   - allowed: CPUs that the process may run on.
    ///   - near: CPUs of the NIC's node; none when it is bound to none.
    /// - Returns: A CPU for each worker, in the order of their numbers.
    static func cpus(
        configured: [Int]?, workers: Int, allowed: [Int], near: [Int]
    ) -> [Int?] {
        let nearest = Set(near)
        let chosen =
            configured
            ?? allowed.sorted {
                (nearest.contains($0) ? 1 : 0, $0) > (nearest.contains($1) ? 1 : 0, $1)
            }
        return (0..<workers).map { $0 < chosen.count ? chosen[$0] : nil }
    }

    /// Ports of the interface's own address that `snat` may use: 1024 and up, without those that
    /// the kernel hands out by itself.
    static func interfacePorts(
        beside local: ClosedRange<UInt16> = HostSystem.localPorts
    ) -> [ClosedRange<UInt16>] {
        var ranges: [ClosedRange<UInt16>] = []
        if local.lowerBound > 1024 { ranges.append(1024...local.lowerBound - 1) }
        if local.upperBound < 65535 { ranges.append(max(local.upperBound + 1, 1024)...65535) }
        return ranges
    }
}
