// SPDX-License-Identifier: Apache-2.0
internal import CXDP
internal import Glibc

/// How a program is attached to an interface.
public enum AttachMode: String, Sendable {
    /// In the driver, before the kernel makes a packet of the frame.
    case native
    /// In the network stack, for drivers without XDP.
    case generic
}

/// How the steering program reads frames; the raw value is the program's name.
public enum FrameAccess: String, Sendable, CaseIterable {
    /// In place, which the kernel lets a program do that was loaded with CAP_PERFMON.
    case direct = "xdplb_steer"
    /// As a copy where headers are not at their usual places, and with the kernel's own
    /// precautions against speculation: slower by about 0.15 µs a frame.
    case copying = "xdplb_steer_cp"
}

/// The steering program, attached to an interface for as long as this value lives.
///
/// The attachment is a link that this process holds: the kernel takes the program off when the
/// process ends, however it ends, so that no frame goes to sockets that are gone. Nothing is
/// pinned, and a program of somebody else is never replaced.
public struct SteeringProgram: ~Copyable, Sendable {
    /// How it is attached.
    public let mode: AttachMode
    /// How it reads frames.
    public let access: FrameAccess
    private let object: BPFObject
    private let link: ProgramLink
    private let sockets: Int32
    private let verdicts: Int32
    private var maps: MatchMaps

    /// Loads the program and attaches it; no frame is redirected yet.
    ///
    /// - Parameters:
    ///   - interface: The device's name.
    ///   - index: The device's number.
    ///   - modes: The modes to try, in this order: the next one where the driver has no XDP.
    ///   - accesses: The programs to try, in this order: the next one where the verifier says no.
    ///   - mapSizes: Entries of the maps to match by where they are to differ from what the
    ///     program says.
    /// - Throws: When the kernel refuses the program, or the interface has one already; the error
    ///   then says whose.
    public init(
        interface: String, index: Int, modes: [AttachMode],
        accesses: [FrameAccess] = FrameAccess.allCases, mapSizes: [String: Int] = [:]
    ) throws(XSKError) {
        var access = FrameAccess.direct
        let object = try Self.load(accesses, mapSizes, &access)
        guard let sockets = object.map("sockets"), let verdicts = object.map("verdicts"),
            let maps = MatchMaps(object), let program = object.program(access.rawValue)
        else { throw XSKError("the embedded steering program lacks a map: the build is broken") }
        let attached = try Self.attach(program, interface, index, modes)
        mode = attached.mode
        self.access = access
        link = ProgramLink(descriptor: attached.link)
        self.sockets = sockets
        self.verdicts = verdicts
        self.maps = maps
        self.object = object
    }

    /// Loads the first of the programs that the verifier accepts; `access` says which one it is.
    static func load(
        _ accesses: [FrameAccess], _ mapSizes: [String: Int], _ access: inout FrameAccess
    ) throws(XSKError) -> BPFObject {
        for candidate in accesses.dropLast() {
            do throws(XSKError) {
                let object = try BPFObject(
                    EmbeddedBPF.steer, only: candidate.rawValue, mapSizes: mapSizes)
                access = candidate
                return object
            } catch {
                guard error.errno == EACCES else { throw error }
            }
        }
        access = accesses.last ?? .copying
        return try BPFObject(EmbeddedBPF.steer, only: access.rawValue, mapSizes: mapSizes)
    }

    private static func attach(
        _ program: Int32, _ interface: String, _ index: Int, _ modes: [AttachMode]
    ) throws(XSKError) -> (link: Int32, mode: AttachMode) {
        for (attempt, mode) in modes.enumerated() {
            var options = unsafe bpf_link_create_opts()
            unsafe options.sz = MemoryLayout<bpf_link_create_opts>.size
            unsafe options.flags = UInt32(
                mode == .native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE)
            let link = unsafe bpf_link_create(program, Int32(index), BPF_XDP, &options)
            if link >= 0 { return (link, mode) }
            let error: Int32 = -link
            if error == EBUSY || error == EEXIST {
                throw XSKError(
                    "cannot attach to \(interface)", errno: error,
                    remedy: XDPHolder.describe(interface: interface, index: index))
            }
            // Only a driver without XDP is worth another mode: whatever else is wrong is to be
            // seen and not to be paid for with a slow mode.
            if error == EOPNOTSUPP && attempt + 1 < modes.count { continue }
            throw XSKError(
                "cannot attach to \(interface) in \(mode.rawValue) mode", errno: error,
                remedy: remedy(error, interface, mode))
        }
        throw XSKError("no attach mode was given for \(interface)")
    }

    private static func remedy(_ error: Int32, _ interface: String, _ mode: AttachMode) -> String {
        switch error {
        case EOPNOTSUPP:
            "Its driver has no XDP: 'attach_mode: auto' or 'generic' works, slower"
        case EINVAL:
            """
            Usually its MTU is over what the driver takes for XDP, or LRO is on: \
            'ip link set \(interface) mtu 1500', 'ethtool -K \(interface) lro off'
            """
        case EPERM, EACCES: "It needs CAP_NET_ADMIN and CAP_BPF, or root"
        default: ""
        }
    }

    /// Sends the frames of a queue to a socket from now on.
    public func setSocket(_ descriptor: Int32, queue: Int) throws(XSKError) {
        var key = UInt32(queue)
        var value = descriptor
        let result = unsafe bpf_map_update_elem(sockets, &key, &value, UInt64(BPF_ANY))
        guard result == 0 else {
            throw XSKError("cannot give queue \(queue) its socket", errno: -result)
        }
    }

    /// Sends the frames of a queue to the kernel from now on, as before ``setSocket(_:queue:)``.
    ///
    /// Closing the socket does the same.
    public func clearSocket(queue: Int) {
        var key = UInt32(queue)
        _ = unsafe bpf_map_delete_elem(sockets, &key)
    }

    /// What is redirected.
    public var rules: SteeringRules { maps.rules }

    /// Changes what is redirected; what the rules before and the new ones have in common is so
    /// at every moment.
    ///
    /// - Throws: When a map is full; the rules before stay in force.
    public mutating func change(to new: SteeringRules) throws(XSKError) {
        try maps.change(to: new)
    }

    /// Frames the program has seen since it was loaded, by verdict.
    public struct Verdicts: Equatable, Sendable {
        /// Not ours.
        public var passed: UInt64 = 0
        /// Sent to a socket.
        public var redirected: UInt64 = 0
        /// Ours, but their queue had no socket.
        public var withoutSocket: UInt64 = 0
    }

    /// The sums over all CPUs.
    public func verdictCounters() -> Verdicts {
        Verdicts(
            passed: sum(STEER_PASS), redirected: sum(STEER_REDIRECT),
            withoutSocket: sum(STEER_NO_SOCKET))
    }

    private func sum(_ verdict: steer_verdict) -> UInt64 {
        var key = verdict.rawValue
        var values = [UInt64](repeating: 0, count: Int(max(1, libbpf_num_possible_cpus())))
        guard unsafe bpf_map_lookup_elem(verdicts, &key, &values) == 0 else { return 0 }
        return values.reduce(0, &+)
    }

    /// What the program does with one frame, without a device.
    ///
    /// - Returns: The XDP action (`XDP_PASS` 2, `XDP_REDIRECT` 4).
    func testRun(_ frame: [UInt8]) throws(XSKError) -> UInt32 {
        guard let descriptor else { throw XSKError("no program") }
        return try Self.testRun(descriptor, frame)
    }

    /// The program's descriptor, for test runs on another thread.
    var descriptor: Int32? { object.program(access.rawValue) }

    /// What a program does with one frame.
    static func testRun(_ program: Int32, _ frame: [UInt8]) throws(XSKError) -> UInt32 {
        var options = unsafe bpf_test_run_opts()
        unsafe options.sz = optionSize(through: \bpf_test_run_opts.batch_size)
        let result = unsafe frame.withUnsafeBytes { bytes in
            unsafe options.data_in = bytes.baseAddress
            unsafe options.data_size_in = UInt32(bytes.count)
            unsafe options.repeat = 1
            return unsafe bpf_prog_test_run_opts(program, &options)
        }
        guard result == 0 else {
            throw XSKError("cannot test-run the steering program", errno: -result)
        }
        return unsafe options.retval
    }
}

/// Owner of a link: the program is attached until it is closed.
struct ProgramLink: ~Copyable, Sendable {
    let descriptor: Int32
    deinit { close(descriptor) }
}
