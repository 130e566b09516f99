// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import DataPlane
internal import Glibc

/// A socket of a probe: non-blocking, and closed when nothing refers to it.
final class ProbeSocket {
    let descriptor: Int32

    /// Takes a descriptor over; `nil` when it is none.
    init?(_ descriptor: Int32) {
        guard descriptor >= 0 else { return nil }
        self.descriptor = descriptor
    }

    convenience init?(_ family: AddressFamily, _ type: __socket_type, _ protocolNumber: Int32 = 0) {
        self.init(
            socket(
                family == .ipv4 ? AF_INET : AF_INET6,
                Int32(type.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue),
                protocolNumber))
    }

    deinit { close(descriptor) }

    /// `errno` of binding or connecting; 0 when done, `EINPROGRESS` when it goes on.
    func bind(_ address: IPAddress, port: UInt16 = 0) -> Int32 {
        unsafe Self.withAddress(address, port) { pointer, length in
            unsafe Glibc.bind(descriptor, pointer, length) == 0 ? 0 : errno
        }
    }

    func connect(_ address: IPAddress, port: UInt16) -> Int32 {
        unsafe Self.withAddress(address, port) { pointer, length in
            unsafe Glibc.connect(descriptor, pointer, length) == 0 ? 0 : errno
        }
    }

    /// `errno` of sending; 0 when done.
    func send(_ bytes: [UInt8], to address: IPAddress) -> Int32 {
        unsafe Self.withAddress(address, 0) { pointer, length in
            let count = unsafe bytes.withUnsafeBytes { bytes in
                unsafe sendto(
                    descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL),
                    pointer, length)
            }
            return count == bytes.count ? 0 : errno
        }
    }

    func send(_ bytes: [UInt8]) -> Int32 {
        let count = unsafe bytes.withUnsafeBytes { bytes in
            unsafe Glibc.send(
                descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
        }
        return count == bytes.count ? 0 : errno
    }

    /// What has arrived: `nil` when there is nothing yet, empty at the end.
    func receive() -> Result<[UInt8], SocketError>? {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
        if count < 0 { return errno == EAGAIN || errno == EINTR ? nil : .failure(.init(errno)) }
        return .success(Array(buffer.prefix(count)))
    }

    /// An error that is pending on the socket, as of a connection that was refused; 0 for none.
    var pendingError: Int32 {
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        _ = unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
        return error
    }

    /// The port that the kernel chose.
    var localPort: UInt16 {
        var storage = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        _ = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &length)
            }
        }
        // The port is at the same place in both families.
        return UInt16(bigEndian: storage.sin6_port)
    }

    func set(_ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        _ = unsafe setsockopt(
            descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func withAddress(
        _ address: IPAddress, _ port: UInt16,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        if let ipv4 = address.ipv4 {
            var storage = sockaddr_in()
            storage.sin_family = sa_family_t(AF_INET)
            storage.sin_port = port.bigEndian
            storage.sin_addr.s_addr = ipv4.value.bigEndian
            return unsafe withUnsafePointer(to: &storage) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        var storage = sockaddr_in6()
        storage.sin6_family = sa_family_t(AF_INET6)
        storage.sin6_port = port.bigEndian
        unsafe withUnsafeMutableBytes(of: &storage.sin6_addr) { bytes in
            unsafe bytes.copyBytes(from: address.bytes)
        }
        return unsafe withUnsafePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
    }
}

/// Why a socket did not do what it was asked.
struct SocketError: Error, Equatable {
    let number: Int32

    init(_ number: Int32) { self.number = number }

    /// How a probe ends by it.
    var outcome: (result: ProbeResult, detail: String) {
        switch number {
        case ECONNREFUSED: (.refused, "refused")
        case ECONNRESET, EPIPE: (.badReply, "reset")
        case ETIMEDOUT, EHOSTUNREACH, EHOSTDOWN: (.timeout, Self.text(number))
        default: (.error, Self.text(number))
        }
    }

    private static func text(_ number: Int32) -> String {
        unsafe String(cString: strerror(number))
    }
}
