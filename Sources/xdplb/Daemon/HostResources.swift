// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import Foundation

/// What of the host the daemon may use.
enum HostResources {
    /// CPU of each worker: as configured, else the highest allowed ones first, as interrupts and
    /// other work tend to be on the lowest.
    ///
    /// A worker beyond the number of CPUs is not pinned.
    static func cpus(configured: [Int]?, workers: Int) -> [Int?] {
        if let configured {
            return (0..<workers).map { $0 < configured.count ? configured[$0] : nil }
        }
        var buffer = [Int32](repeating: 0, count: 1024)
        let count = unsafe Int(cplatform_allowed_cpus(&buffer, 1024))
        let allowed = buffer.prefix(count).reversed().map(Int.init)
        return (0..<workers).map { $0 < allowed.count ? allowed[$0] : nil }
    }

    /// Ports of the interface's own address that the kernel does not hand out by itself: 1024 and
    /// up, without `ip_local_port_range`.
    static func interfacePorts() -> [ClosedRange<UInt16>] {
        let text =
            (try? String(contentsOfFile: "/proc/sys/net/ipv4/ip_local_port_range", encoding: .utf8))
            ?? ""
        let bounds = text.split(whereSeparator: \.isWhitespace).compactMap { UInt16($0) }
        guard bounds.count == 2, bounds[0] <= bounds[1] else { return [1024...65535] }
        var ranges: [ClosedRange<UInt16>] = []
        if bounds[0] > 1024 { ranges.append(1024...bounds[0] - 1) }
        if bounds[1] < 65535 { ranges.append(max(bounds[1] + 1, 1024)...65535) }
        return ranges
    }
}
