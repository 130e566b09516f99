// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The admin socket's place in the file system.
enum AdminSocketPath {
    /// Makes the folder, and removes a socket that nobody listens on any more.
    ///
    /// - Throws: When somebody listens there, or something else than a socket is there.
    static func prepare(_ path: String) throws(AdminServerError) {
        guard path.utf8.count < 108 else {
            throw AdminServerError(
                description: """
                    cannot serve the admin socket at \(path): a socket's path has at most 107 \
                    bytes. Choose another one with --admin-socket
                    """)
        }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw AdminServerError(
                description: """
                    cannot make the folder \(folder) of the admin socket: \(error). Choose another \
                    path with --admin-socket
                    """)
        }
        guard let facts = try? FileManager.default.attributesOfItem(atPath: path) else { return }
        guard facts[.type] as? FileAttributeType == .typeSocket else {
            throw AdminServerError(
                description: """
                    cannot serve the admin socket at \(path): something else than a socket is \
                    there. Remove it, or choose another path with --admin-socket
                    """)
        }
        guard isAbandoned(path) else {
            throw AdminServerError(
                description: """
                    another xdplb serves the admin socket at \(path). Stop it, or choose another \
                    path with --admin-socket
                    """)
        }
        _ = unsafe unlink(path)
    }

    /// Whether the kernel says that nobody listens: no other answer proves it.
    private static func isAbandoned(_ path: String) -> Bool {
        let flags = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, flags, 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { bytes in
            unsafe bytes.copyBytes(from: path.utf8.prefix(bytes.count - 1))
        }
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe connect(descriptor, pointer, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        return result != 0 && errno == ECONNREFUSED
    }

    /// Lets everybody connect whose credentials may then be let in: the routes decide.
    ///
    /// Where this host has neither group, only root is ever let in, and only root can connect.
    static func open(_ path: String, for admin: AdminConfiguration) {
        let groups = [admin.changeGroup, admin.readGroup].compactMap(\.self)
        let isForOthers = groups.contains { SystemNames.group($0) != nil }
        _ = unsafe chmod(path, isForOthers ? 0o666 : 0o600)
    }
}
