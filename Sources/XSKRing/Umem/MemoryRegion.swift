// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import CXDP
internal import Glibc

/// Whether memory is asked for in 2 MiB pages.
public enum HugePages: Sendable {
    /// Reserved ones when there are any; otherwise those the kernel can make (transparent).
    case automatic
    /// Or fail.
    case required
    /// Never.
    case never
}

/// Owner of zeroed, shared memory: a UMEM, or a worker's tables.
///
/// On the NIC's NUMA node, so that neither the NIC nor the worker crosses to another; on huge pages
/// when there are any, which spares TLB misses: at a million flows a third of the time. A memfd,
/// so that it can be handed to another process by descriptor, unless its pages are transparent
/// huge ones, which the kernel has for anonymous memory only.
@safe
public struct MemoryRegion: ~Copyable, @unchecked Sendable {
    private static let hugePageByteCount = 2 << 20

    private let base: UnsafeMutableRawPointer
    /// Bytes, a multiple of the page size.
    public let byteCount: Int
    /// The memfd; -1 when there is none.
    public let fileDescriptor: Int32
    /// Whether it is on reserved pages of 2 MiB.
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
            if byteCount >= Self.hugePageByteCount {
                try self.init(transparent: name, byteCount, node, touched)
                return
            }
        }
        try self.init(name, byteCount, node, isHuge: false, touched)
    }

    /// Anonymous memory that begins where a huge page may, in the middle of a larger reservation.
    private init(
        transparent name: String, _ wanted: Int, _ node: Int?, _ touched: Bool
    ) throws(XSKError) {
        let page = Self.hugePageByteCount
        let byteCount = (wanted + page - 1) / page * page
        let mapping = unsafe mmap(
            nil, byteCount + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let start = unsafe mapping, unsafe start != MAP_FAILED else {
            throw XSKError(
                "cannot map \(byteCount >> 20) MiB of memory for \(name)", errno: Glibc.errno)
        }
        let before = (page - Int(bitPattern: start) % page) % page
        if before > 0 { unsafe munmap(start, before) }
        let base = unsafe start + before
        if before < page { unsafe munmap(base + byteCount, page - before) }
        // Refused where the kernel has none: ordinary pages serve as well, only slower.
        unsafe madvise(base, byteCount, MADV_HUGEPAGE)
        unsafe Self.place(base, byteCount, node, touched ? 4096 : nil)
        unsafe self.base = base
        self.byteCount = byteCount
        fileDescriptor = -1
        isHuge = false
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
        unsafe Self.place(base, byteCount, node, touched ? page : nil)
        unsafe self.base = base
        self.byteCount = byteCount
        fileDescriptor = descriptor
        self.isHuge = isHuge
    }

    /// Asks for memory of a node, and touches one byte of every page.
    private static func place(
        _ base: UnsafeMutableRawPointer, _ byteCount: Int, _ node: Int?, _ touchedPage: Int?
    ) {
        if let node, numa_available() >= 0, numa_max_node() > 0 {
            unsafe numa_tonode_memory(base, byteCount, Int32(node))
        }
        guard let touchedPage else { return }
        for offset in stride(from: 0, to: byteCount, by: touchedPage) {
            unsafe base.storeBytes(of: 0, toByteOffset: offset, as: UInt8.self)
        }
    }

    deinit {
        unsafe munmap(base, byteCount)
        if fileDescriptor >= 0 { close(fileDescriptor) }
    }

    /// All of it; valid as long as the region.
    public var bytes: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: base, count: byteCount)
    }
}
