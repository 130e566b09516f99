// SPDX-License-Identifier: Apache-2.0
internal import CPlatform

/// What the kernel says of this host, each fact read in one place and with one answer where it
/// cannot be read.
public enum HostSystem {
    /// As `uname -r` prints it; `unknown` when it cannot be read.
    public static var kernelRelease: String {
        KernelText.line("/proc/sys/kernel/osrelease") ?? "unknown"
    }

    /// CPUs that this process may run on, ascending.
    public static var allowedCPUs: [Int] {
        var buffer = [Int32](repeating: 0, count: 1024)
        let count = unsafe Int(cplatform_allowed_cpus(&buffer, 1024))
        return buffer.prefix(count).map(Int.init)
    }

    /// Ports that the kernel hands out by itself (`ip_local_port_range`); where it cannot be read,
    /// those that it hands out unless told otherwise (Documentation/networking/ip-sysctl.rst).
    public static var localPorts: ClosedRange<UInt16> {
        let text = KernelText.line("/proc/sys/net/ipv4/ip_local_port_range") ?? ""
        let bounds = text.split(whereSeparator: \.isWhitespace).compactMap { UInt16($0) }
        return bounds.count == 2 && bounds[0] <= bounds[1] ? bounds[0]...bounds[1] : 32768...60999
    }

    /// The NUMA node of a network device; `nil` when it is bound to none.
    public static func numaNode(ofInterface name: String) -> Int? {
        KernelText.number("/sys/class/net/\(name)/device/numa_node").flatMap { $0 < 0 ? nil : $0 }
    }

    /// CPUs of a NUMA node; `nil` without one, or when it is not known.
    public static func cpus(ofNode node: Int?) -> [Int]? {
        node.flatMap { KernelText.line("/sys/devices/system/node/node\($0)/cpulist") }
            .map(KernelText.numbers(in:))
    }
}
