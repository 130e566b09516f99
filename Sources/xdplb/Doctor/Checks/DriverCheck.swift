// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import Glibc
internal import Netlink
internal import XSKRing

/// What the driver has: native XDP, and zero-copy.
struct DriverCheck: DoctorCheck {
    /// How it is known whether sockets can be bound without copying.
    enum ZeroCopy: Equatable, Sendable {
        /// A socket was bound so, on a queue nobody used.
        case bound
        /// The kernel refused to; its errno.
        case refused(Int32)
        /// The driver says that it cannot.
        case absent
        /// It was not tried: a program is attached, or copy mode is configured.
        case untried
    }

    var interface: String
    var driver: String
    /// RX queues there are.
    var queueCount: Int
    /// As configured.
    var attachMode: InterfaceConfiguration.AttachMode
    /// As configured.
    var bindMode: InterfaceConfiguration.BindMode
    /// What the driver tells; `nil` when the kernel has no such query.
    var features: XDPFeatures?
    var zeroCopy: ZeroCopy
    /// Modes of the daemon that runs there; `nil` when none does.
    var running: Modes?

    /// How a daemon runs.
    struct Modes: Equatable, Sendable {
        var attach: String
        var bind: String
    }

    private static let check = "driver"

    var findings: [Finding] {
        if let running { return [asItRuns(running)] }
        return native.map { [$0] } ?? [copying]
    }

    private func asItRuns(_ modes: Modes) -> Finding {
        let fact = "\(interface): \(driver), running with \(modes.attach) XDP, \(modes.bind) mode"
        guard modes.attach == AttachMode.generic.rawValue else { return .ok(Self.check, fact) }
        return .warn(
            Self.check, fact, "every frame is made a packet of the kernel's first, which is slow",
            Remedy(words: "a NIC whose driver has native XDP"))
    }

    /// What is against attaching in the driver; `nil` when nothing is.
    private var native: Finding? {
        guard attachMode != .generic else {
            return .info(
                Self.check, "\(interface): \(driver), generic XDP is configured",
                "slower than 'attach_mode: native', and without zero-copy")
        }
        guard let features, !features.isSuperset(of: [.native, .redirect]) else { return nil }
        guard driver != "veth" else { return narrowVeth }
        let name = driver == "unknown" ? "its driver" : driver
        let fact = "\(interface): \(name) has no native XDP"
        guard attachMode == .native else {
            return .warn(
                Self.check, fact, "it is attached in generic mode, slower",
                Remedy(words: "a NIC whose driver has native XDP"))
        }
        return .fail(
            Self.check, fact, "start is refused",
            Remedy(words: "'attach_mode: auto' works, slower"))
    }

    /// A veth has native XDP only while each TX queue of its other end has an RX queue at this one.
    private var narrowVeth: Finding {
        .fail(
            Self.check,
            "\(interface): veth, with \(queueCount) RX queues for more TX queues of its other end",
            "the driver accepts no XDP program with these queues; start is refused",
            Remedy(
                words: "where its other end is: ethtool -L PEER rx \(queueCount) tx \(queueCount)"))
    }

    private var copying: Finding {
        let known = features == nil ? "native XDP unknown before Linux 6.3" : "native XDP"
        let fact = "\(interface): \(driver), \(known)"
        switch zeroCopy {
        case .bound: return .ok(Self.check, "\(fact), zero-copy")
        case .untried: return .ok(Self.check, "\(fact), \(bindMode.rawValue) mode, not tried")
        case .absent, .refused(EOPNOTSUPP):
            guard bindMode == .zerocopy else { return .ok(Self.check, "\(fact), copy mode") }
            return .fail(
                Self.check, "\(fact), no zero-copy on this kernel",
                "'bind_mode: zerocopy' refuses to start",
                Remedy(words: "'bind_mode: auto', or a kernel whose driver has it"))
        case .refused(let error):
            return uncertain(fact, error)
        }
    }

    /// Some drivers refuse a socket while no program is attached, and some for want of a setting.
    private func uncertain(_ fact: String, _ error: Int32) -> Finding {
        let refused = "\(fact); zero-copy was refused (\(XSKError.name(of: error)))"
        let remedy =
            driver == "virtio_net"
            ? Remedy(words: "the hypervisor's VIRTIO_F_ACCESS_PLATFORM (QEMU: 'iommu_platform=on')")
            : Remedy(words: "'xdplb run' tells: it binds behind an attached program")
        return bindMode == .zerocopy
            ? .warn(Self.check, refused, "'bind_mode: zerocopy' may refuse to start", remedy)
            : .info(
                Self.check, refused,
                "copy mode will be used if the bind is refused at start as well")
    }
}

extension DriverCheck {
    init(reading subject: DoctorSubject) {
        interface = subject.name
        driver = subject.interface.driver
        queueCount = subject.interface.rxQueueCount
        attachMode = subject.configuration.interface.attachMode
        bindMode = subject.configuration.interface.bindMode
        features = DriverFeatures.read(interface: subject.interface.index)
        running = subject.running.map {
            Modes(attach: $0.interface.attachMode, bind: $0.interface.bindMode)
        }
        zeroCopy = .untried
        // A queue behind somebody's program may be bound: a trial could disturb it.
        guard subject.holder == nil, bindMode != .copy, attachMode != .generic else { return }
        guard features?.contains(.zeroCopy) ?? true else {
            zeroCopy = .absent
            return
        }
        zeroCopy = Self.trial(subject)
    }

    /// Binds a socket that receives nothing, as no program is attached, and closes it.
    private static func trial(_ subject: DoctorSubject) -> ZeroCopy {
        var options = XSKOptions()
        options.bindMode = .zerocopy
        (options.rxRing, options.txRing) = (64, 64)
        (options.fillRing, options.completionRing) = (64, 64)
        options.chunkCount = 64
        options.hugePages = .never
        do throws(XSKError) {
            let queue = try XSKQueue(
                interface: subject.name, queueID: subject.interface.rxQueueCount - 1,
                node: subject.interface.numaNode, options: options)
            return queue.isZeroCopy ? .bound : .refused(EOPNOTSUPP)
        } catch {
            return .refused(error.errno)
        }
    }
}
