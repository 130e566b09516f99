// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import DataPlane
internal import Glibc

/// A socket of a probe: non-blocking, and closed when nothing refers to it.
final class ProbeSocket {
    /// Times that a socket is read at one wake-up: what floods one keeps no other and no timer
    /// waiting.
    static let mostReads = 64
    /// What the largest IP packet has.
    private static let mostBytes = 65536

    let descriptor: Int32

    /// Takes a descriptor over.
    ///
    /// - Parameter descriptor: What the call that makes it returned.
    /// - Throws: Its error when that is no descriptor.
    init(_ descriptor: Int32) throws(SocketError) {
        guard descriptor >= 0 else { throw .last }
        self.descriptor = descriptor
    }

    convenience init(
        _ family: AddressFamily, _ type: __socket_type, _ protocolNumber: Int32 = 0
    ) throws(SocketError) {
        try self.init(
            socket(
                family == .ipv4 ? AF_INET : AF_INET6,
                Int32(type.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue),
                protocolNumber))
    }

    deinit { close(descriptor) }

    func bind(_ address: IPAddress, port: UInt16 = 0) throws(SocketError) {
        let error = unsafe Self.withAddress(address, port) { pointer, length in
            unsafe Glibc.bind(descriptor, pointer, length) == 0 ? 0 : errno
        }
        guard error == 0 else { throw SocketError(error) }
    }

    /// Connects, or begins to: the socket is writable when that has ended.
    func connect(_ address: IPAddress, port: UInt16) throws(SocketError) {
        let error = unsafe Self.withAddress(address, port) { pointer, length in
            unsafe Glibc.connect(descriptor, pointer, length) == 0 ? 0 : errno
        }
        guard error == 0 || error == EINPROGRESS else { throw SocketError(error) }
    }

    func send(_ bytes: [UInt8], to address: IPAddress) throws(SocketError) {
        let error = unsafe Self.withAddress(address, 0) { pointer, length in
            let count = unsafe bytes.withUnsafeBytes { bytes in
                unsafe sendto(
                    descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL),
                    pointer, length)
            }
            return count < 0 ? errno : count == bytes.count ? 0 : ENOBUFS
        }
        guard error == 0 else { throw SocketError(error) }
    }

    func send(_ bytes: [UInt8]) throws(SocketError) {
        let count = unsafe bytes.withUnsafeBytes { bytes in
            unsafe Glibc.send(
                descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
        }
        guard count >= 0 else { throw .last }
        guard count == bytes.count else { throw SocketError(ENOBUFS) }
    }

    /// What has arrived: `nil` when there is nothing yet, empty at the end.
    func receive() throws(SocketError) -> [UInt8]? {
        var error: Int32 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: Self.mostBytes) { buffer, count in
            let received = unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if received < 0 { error = errno }
            count = max(0, received)
        }
        if error == EAGAIN || error == EINTR { return nil }
        guard error == 0 else { throw SocketError(error) }
        return bytes
    }

    /// Takes an error that is pending on the socket, as of a connection that was refused; 0 for
    /// none.
    func takePendingError() -> Int32 {
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        _ = unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
        return error
    }

    /// Takes what ICMP said of a packet that was sent, on a socket with `IP_RECVERR`: an `errno`
    /// value, 0 for what the host itself said, and where the packet was to go; `nil` for nothing.
    func takeQueuedError() -> (number: Int32, destination: IPAddress?)? {
        var bytes = [UInt8](repeating: 0, count: 16)
        var count: Int32 = 0
        let number = unsafe cplatform_take_error(descriptor, &bytes, &count)
        return number < 0 ? nil : (number, IPAddress(bytes: bytes[..<Int(count)]))
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
