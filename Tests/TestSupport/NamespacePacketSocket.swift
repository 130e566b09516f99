// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A socket that sends and receives whole frames on an interface (packet(7)).
public final class PacketSocket: Sendable {
    private static let allProtocols: UInt16 = 3
    private let descriptor: Int32

    /// Opens it on an interface of the calling thread's namespace.
    public init(interface: String) throws(CommandError) {
        let type = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        descriptor = socket(AF_PACKET, type, Int32(Self.allProtocols.bigEndian))
        guard descriptor >= 0 else { throw Self.error("cannot open a packet socket", interface) }
        // struct sockaddr_ll, which Glibc's module lacks: family, protocol, index, and 12 bytes
        // that bind does not read.
        var address = [UInt8](repeating: 0, count: 20)
        unsafe address.withUnsafeMutableBytes { bytes in
            unsafe bytes.storeBytes(of: UInt16(AF_PACKET), as: UInt16.self)
            unsafe bytes.storeBytes(
                of: Self.allProtocols.bigEndian, toByteOffset: 2, as: UInt16.self)
            unsafe bytes.storeBytes(
                of: if_nametoindex(interface), toByteOffset: 4, as: UInt32.self)
        }
        let bound = unsafe address.withUnsafeBytes { bytes in
            unsafe bytes.withMemoryRebound(to: sockaddr.self) { address in
                unsafe bind(descriptor, address.baseAddress, 20)
            }
        }
        guard bound == 0 else { throw Self.error("cannot bind a packet socket", interface) }
    }

    deinit { close(descriptor) }

    private static func error(_ attempt: String, _ interface: String) -> CommandError {
        CommandError(description: "\(attempt) to \(interface): errno \(errno)")
    }

    /// Sends a frame.
    public func send(_ frame: [UInt8]) throws(CommandError) {
        guard unsafe Glibc.send(descriptor, frame, frame.count, 0) == frame.count else {
            throw CommandError(description: "cannot send \(frame.count) bytes: errno \(errno)")
        }
    }

    /// The next frame that `isWanted`, sent or received on the interface; `nil` when none came
    /// within `milliseconds`.
    public func receive(
        within milliseconds: Int32 = 2000, where isWanted: ([UInt8]) -> Bool
    ) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&waiting, 1, milliseconds) > 0 else { return nil }
            let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
            guard count >= 0 else { return nil }
            let frame = Array(buffer.prefix(count))
            if isWanted(frame) { return frame }
        }
    }
}
