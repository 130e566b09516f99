// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import CXDP
internal import Glibc

/// Whether memory is asked for in 2 MiB pages.
public enum HugePages: Sendable {
    /// When there are any.
    case automatic
    /// Or fail.
    case required
    /// Never.
    case never
}

/// Owner of zeroed, shared memory: a UMEM, or a worker's tables.
///
/// A memfd, so that it can be handed to another process by descriptor; on the NIC's NUMA node, so
/// that neither the NIC nor the worker crosses to another; on huge pages when there are any, which
/// spares TLB misses.
@safe
public struct MemoryRegion: ~Copyable, @unchecked Sendable {
    private static let hugePageByteCount = 2 << 20

    private let base: UnsafeMutableRawPointer
    /// Bytes, a multiple of the page size.
    public let byteCount: Int
    /// The memfd.
    public let fileDescriptor: Int32
    /// Whether it is on 2 MiB pages.
    public let isHuge: Bool

    /// Memory of at least `byteCount` bytes, all zero.
    ///
    /// - Parameters:
    ///   - name: What it is for, as /proc/PID/maps shows it.
    ///   - byteCount: Bytes wanted; rounded up to whole pages.
    ///   - node: NUMA node it should be on; `nil` leaves that to the kernel.
    ///   - hugePages: Whether to ask for 2 MiB pages.
    ///   - touched: Whether every page is made now, so that none is missing later.
    /// - Throws: When the kernel has not that much, or no huge pages although they are required.
    public init(
        name: String, byteCount: Int, node: Int?, hugePages: HugePages, touched: Bool
    ) throws(XSKError) {
        if hugePages != .never {
            do throws(XSKError) {
                try self.init(name, byteCount, node, isHuge: true, touched)
                return
            } catch {
                if hugePages == .required { throw error }
            }
        }
        try self.init(name, byteCount, node, isHuge: false, touched)
    }

    private init(
        _ name: String, _ wanted: Int, _ node: Int?, isHuge: Bool, _ touched: Bool
    ) throws(XSKError) {
        let page = isHuge ? Self.hugePageByteCount : Int(sysconf(Int32(_SC_PAGESIZE)))
        let byteCount = (max(wanted, 1) + page - 1) / page * page
        let what = "\(byteCount >> 20) MiB of \(isHuge ? "huge pages" : "memory") for \(name)"
        let remedy =
            isHuge ? "'sysctl vm.nr_hugepages=N' makes some; 'hugepages: auto' does without" : ""
        let descriptor = unsafe cplatform_memfd(name, isHuge ? 1 : 0)
        guard descriptor >= 0 else {
            throw XSKError("cannot make \(what)", errno: Glibc.errno, remedy: remedy)
        }
        guard ftruncate(descriptor, byteCount) == 0 else {
            let error = Glibc.errno
            close(descriptor)
            throw XSKError("cannot make \(what)", errno: error, remedy: remedy)
        }
        let mapping = unsafe mmap(
            nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let base = unsafe mapping, unsafe base != MAP_FAILED else {
            let error = Glibc.errno
            close(descriptor)
            throw XSKError("cannot map \(what)", errno: error, remedy: remedy)
        }
        if let node, numa_available() >= 0, numa_max_node() > 0 {
            unsafe numa_tonode_memory(base, byteCount, Int32(node))
        }
        if touched {
            for offset in stride(from: 0, to: byteCount, by: page) {
                unsafe base.storeBytes(of: 0, toByteOffset: offset, as: UInt8.self)
            }
        }
        unsafe self.base = base
        self.byteCount = byteCount
        fileDescriptor = descriptor
        self.isHuge = isHuge
    }

    deinit {
        unsafe munmap(base, byteCount)
        close(fileDescriptor)
    }

    /// All of it; valid as long as the region.
    public var bytes: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: base, count: byteCount)
    }
}
