// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// A datagram socket of somebody on this host, by its path or its abstract name.
///
/// systemd's service manager (`NOTIFY_SOCKET`, see sd_notify(3)) and the journal listen on such
/// sockets. The receiver is looked up anew for each datagram, so that its restart is not noticed.
@safe
public struct DatagramAddress: Sendable {
    /// What is given up on: a receiver that takes nothing must not hold the sender.
    private static let patience = timeval(tv_sec: 1, tv_usec: 0)

    private let address: sockaddr_un
    private let length: socklen_t

    /// An address, as `/run/systemd/notify`, or `@name` for an abstract one.
    ///
    /// `nil` when it is neither, or longer than a socket's address may be.
    public init?(_ text: String) {
        let isAbstract = text.hasPrefix("@")
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard isAbstract || text.hasPrefix("/"), text.utf8.count > 1, text.utf8.count < room else {
            return nil
        }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { bytes in
            unsafe bytes.copyBytes(from: text.utf8)
            // A name that begins with a zero byte is no path.
            if isAbstract { unsafe bytes[0] = 0 }
        }
        self.address = address
        // Of a path the zero byte at its end counts, of a name every byte is a part of it.
        let offset = MemoryLayout<sa_family_t>.size
        length = socklen_t(offset + text.utf8.count + (isAbstract ? 0 : 1))
    }

    /// Sends one datagram; says whether the receiver has it.
    @discardableResult
    public func send(_ bytes: [UInt8]) -> Bool {
        let descriptor = socket(
            AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var patience = Self.patience
        _ = unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience,
            socklen_t(MemoryLayout<timeval>.size))
        let sent = unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe sendto(
                    descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), pointer, length)
            }
        }
        return sent == bytes.count
    }
}
