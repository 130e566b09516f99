// SPDX-License-Identifier: Apache-2.0
internal import CXDP
internal import DataPlane
internal import Foundation
internal import XSKRing

/// Where a backend takes tunnels apart.
enum DecapMode: String, CaseIterable, Codable {
    /// After the kernel has made a packet of the frame (clsact, direct action).
    case tc
    /// Before that, in the driver.
    case xdp

    /// Name of the program, by which what we attached is told from what others did.
    ///
    /// The kernel keeps fifteen bytes of it.
    var programName: String { self == .tc ? "xdplb_decap_tc" : "xdplb_decap_xdp" }
}

/// What a decapsulation program counts.
struct DecapCounters: Codable, Equatable {
    /// Tunnels that were taken apart.
    var decapsulated: UInt64
    /// Packets that are no IP in IP.
    var notTunnelled: UInt64
    /// Tunnels from outside the trusted prefixes, left as they were.
    var untrusted: UInt64
    /// Tunnels whose inner destination is none of the VIPs, left as they were.
    var notVIP: UInt64
    /// Tunnels whose headers contradict each other, left as they were.
    var malformed: UInt64
}

/// A decapsulation program that is attached to an interface, found through the kernel.
///
/// Nothing is pinned: the interface holds the program and the program its maps, so all that is
/// needed is found from the interface, by any later process.
struct DecapAttachment {
    let mode: DecapMode
    /// The kernel's number of the program.
    let program: UInt32
    let maps: DecapMaps

    /// What is attached to an interface by us, in either mode.
    static func find(on interface: NetworkInterface) -> DecapAttachment? {
        for mode in DecapMode.allCases {
            let found =
                mode == .tc ? DecapHook.tcProgram(interface) : DecapHook.xdpProgram(interface)
            guard let program = found,
                let info = DecapProgramInfo(program), info.name == mode.programName,
                let maps = DecapMaps(ofProgram: info)
            else { continue }
            return DecapAttachment(mode: mode, program: program, maps: maps)
        }
        return nil
    }
}

/// An interface by name and number.
struct NetworkInterface {
    let name: String
    let index: Int32

    /// - Throws: ``CommandFailure`` when there is none of that name.
    init(_ name: String) throws {
        let index = unsafe if_nametoindex(name)
        guard index != 0 else {
            throw CommandFailure(
                .refused,
                "there is no interface \(name); 'ip link' lists those of this network namespace")
        }
        self.name = name
        self.index = Int32(index)
    }
}

/// What the kernel says about a loaded program.
struct DecapProgramInfo {
    let name: String
    let maps: [UInt32]

    /// `nil` when there is no such program.
    init?(_ identifier: UInt32) {
        let descriptor = bpf_prog_get_fd_by_id(identifier)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var identifiers = [UInt32](repeating: 0, count: 8)
        var info = bpf_prog_info()
        var length = UInt32(MemoryLayout<bpf_prog_info>.size)
        let result = unsafe identifiers.withUnsafeMutableBufferPointer { buffer in
            info.nr_map_ids = UInt32(buffer.count)
            info.map_ids = UInt64(UInt(bitPattern: buffer.baseAddress))
            return unsafe bpf_obj_get_info_by_fd(descriptor, &info, &length)
        }
        guard result == 0 else { return nil }
        name = unsafe withUnsafeBytes(of: &info.name) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        maps = Array(identifiers.prefix(Int(min(info.nr_map_ids, 8))))
    }
}
