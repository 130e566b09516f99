// SPDX-License-Identifier: Apache-2.0
internal import CXDP
internal import Glibc

extension XSKQueue {
    static func makeUmem(
        _ memory: UnsafeMutableRawBufferPointer, _ fill: borrowing FillRing,
        _ completion: borrowing CompletionRing, _ options: XSKOptions
    ) throws(XSKError) -> OpaquePointer {
        var configuration = xsk_umem_config(
            fill_size: UInt32(options.fillRing), comp_size: UInt32(options.completionRing),
            frame_size: UInt32(options.chunkSize), frame_headroom: 0, flags: 0)
        var umem: OpaquePointer?
        let created = unsafe xsk_umem__create(
            &umem, memory.baseAddress, UInt64(memory.count), fill.storage.ring,
            completion.storage.ring, &configuration)
        guard created == 0, let umem = unsafe umem else {
            let remedy =
                switch -created {
                case ENOBUFS:
                    """
                    Locked memory is limited: give CAP_IPC_LOCK, raise LimitMEMLOCK, or lower \
                    'memory.chunks_per_queue'
                    """
                case EPERM, EACCES: "AF_XDP needs CAP_NET_RAW, or root"
                default: ""
                }
            throw XSKError(
                "cannot register a UMEM of \(memory.count >> 20) MiB", errno: -created,
                remedy: remedy)
        }
        return unsafe umem
    }

    /// Together half a second, in microseconds each.
    static let bindAttempts = 100
    static let bindPause: UInt32 = 5000

    /// Chunks that are kept from the fill ring.
    static func reserve(_ chunkCount: Int) -> Int { min(64, chunkCount / 8) }

    /// The mode to ask for, given how the program is attached.
    static func bindMode(
        _ interface: String, _ queue: Int, _ options: XSKOptions
    ) throws(XSKError) -> XSKOptions.BindMode {
        guard options.attachMode == .generic else { return options.bindMode }
        guard options.bindMode != .zerocopy else {
            throw XSKError(
                """
                cannot bind an AF_XDP socket to \(interface) queue \(queue) (zerocopy): the \
                steering program is attached in generic mode, where the kernel accepts zero-copy \
                but the driver has no part in it. Use 'attach_mode: native', or 'bind_mode: auto'
                """)
        }
        return .copy
    }

    /// Has system calls on the socket poll the NIC, if the options say so.
    static func enableBusyPoll(
        _ descriptor: Int32, _ interface: String, _ queue: Int, _ options: XSKOptions
    ) throws(XSKError) {
        guard let budget = options.busyPollBudget else { return }
        for (option, value) in [
            (SO_PREFER_BUSY_POLL, 1), (SO_BUSY_POLL, Int32(clamping: options.busyPollTime)),
            (SO_BUSY_POLL_BUDGET, Int32(clamping: budget)),
        ] {
            var value = value
            guard unsafe setsockopt(descriptor, SOL_SOCKET, option, &value, 4) == 0 else {
                throw XSKError(
                    "cannot turn busy polling on for \(interface) queue \(queue)",
                    errno: Glibc.errno,
                    remedy: "It needs Linux 5.11 and CAP_NET_ADMIN; 'busy_poll: off' does without")
            }
        }
    }

    static func bindFlags(_ mode: XSKOptions.BindMode) -> UInt16 {
        let flags =
            switch mode {
            case .zerocopy: XDP_USE_NEED_WAKEUP | XDP_ZEROCOPY
            case .copy: XDP_USE_NEED_WAKEUP | XDP_COPY
            // With neither, the kernel tries zero-copy and falls back by itself.
            case .automatic: XDP_USE_NEED_WAKEUP
            }
        return UInt16(flags)
    }

    /// Why a bind was refused; several causes have one number, so the interface is asked.
    static func bindError(
        _ interface: String, _ queue: Int, _ options: XSKOptions, _ error: Int32
    ) -> XSKError {
        let mode = options.bindMode.rawValue
        let facts = try? InterfaceFacts(name: interface)
        let remedy =
            switch error {
            case EOPNOTSUPP:
                """
                Its driver \(facts?.driver ?? "") has no zero-copy on this kernel: use \
                'bind_mode: auto', or a kernel whose driver has it
                """
            case EINVAL: invalid(facts, queue, options)
            case EBUSY: "Another process holds this queue: 'ss --xdp -p' lists it"
            case ENODEV: "'ip link' lists the interfaces of this network namespace"
            case ENOBUFS: "Locked memory is limited: give CAP_IPC_LOCK, or raise LimitMEMLOCK"
            case EPERM, EACCES: "AF_XDP needs CAP_NET_RAW, or root"
            default: ""
            }
        return XSKError(
            "cannot bind an AF_XDP socket to \(interface) queue \(queue) (\(mode))",
            errno: error, remedy: remedy)
    }

    private static func invalid(
        _ facts: InterfaceFacts?, _ queue: Int, _ options: XSKOptions
    ) -> String {
        guard let facts else { return "" }
        if queue >= facts.rxQueueCount {
            return "It has \(facts.rxQueueCount) RX queues, numbered from 0"
        }
        do throws(XSKError) { try facts.checkChunks(of: options.chunkSize) } catch {
            return error.description
        }
        guard options.bindMode == .zerocopy else { return "A ring size may be too large" }
        return facts.driver == "virtio_net"
            ? """
            virtio has zero-copy only with VIRTIO_F_ACCESS_PLATFORM (QEMU: 'iommu_platform=on'): \
            'bind_mode: auto' falls back to copy mode
            """
            : "Its driver \(facts.driver) refuses zero-copy: 'bind_mode: auto' falls back to copy mode"
    }

    static func isZeroCopy(_ descriptor: Int32) -> Bool {
        var options = xdp_options()
        var length = socklen_t(MemoryLayout<xdp_options>.size)
        guard unsafe getsockopt(descriptor, SOL_XDP, XDP_OPTIONS, &options, &length) == 0 else {
            return false
        }
        return options.flags & UInt32(XDP_OPTIONS_ZEROCOPY) != 0
    }
}
