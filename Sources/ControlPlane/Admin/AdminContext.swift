// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Glibc
internal import Hummingbird
internal import Logging
internal import NIOCore

/// What belongs to one request: the connection it came by.
struct AdminContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection.
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }

    /// Bodies are small documents.
    var maxUploadSize: Int { 64 << 10 }

    /// Whether it came by the Unix socket, where clients' addresses may be shown.
    var isLocal: Bool {
        if case .unixDomainSocket? = channel.localAddress { true } else { false }
    }

    /// Ends the connection, whatever is still to be sent.
    func hangUp() async { try? await channel.close() }

    /// Who is at the other end of a Unix socket.
    func peer() async throws -> PeerIdentity {
        guard let provider = channel as? any SocketOptionProvider else { return .nobody }
        let credentials: PeerCredentials = try await provider.unsafeGetSocketOption(
            level: .socket, name: .init(rawValue: SO_PEERCRED)
        ).get()
        // Root may everything anyway: its groups are not worth another turn of the event loop.
        let groups = credentials.user == 0 ? [] : try await supplementaryGroups()
        return PeerIdentity(credentials, groups: groups)
    }

    /// NIO's own way to socket options knows none of varying length.
    private func supplementaryGroups() async throws -> [gid_t] {
        let groups = try await channel.eventLoop.submit { [channel] in
            try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
                of: NIOBSDSocket.Handle.self, PeerGroups.of)
        }.get()
        return groups ?? []
    }
}

/// The supplementary groups of the process at the other end of a Unix socket.
private enum PeerGroups {
    /// Asks the kernel (SO_PEERGROUPS, Linux 4.13); none when it does not tell.
    static func of(_ descriptor: CInt) -> [gid_t] {
        var groups = [gid_t](repeating: 0, count: 64)
        for _ in 0..<2 {
            let width = MemoryLayout<gid_t>.stride
            var length = socklen_t(groups.count * width)
            if unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, &groups, &length) == 0 {
                return Array(groups.prefix(Int(length) / width))
            }
            // Too small a list: the bytes that are needed are in `length` then.
            guard errno == ERANGE else { return [] }
            groups = [gid_t](repeating: 0, count: Int(length) / width)
        }
        return []
    }
}

/// struct ucred (unix(7)), which Glibc's module lacks.
struct PeerCredentials: Sendable {
    var process: Int32
    var user: UInt32
    var group: UInt32
}

/// The user at the other end of a Unix socket, as the kernel vouches for it.
struct PeerIdentity: Sendable {
    let user: UInt32
    let groups: Set<UInt32>
    /// The user's name, or number when it has none.
    let name: String

    static let nobody = PeerIdentity(user: .max, groups: [], name: "nobody")

    private init(user: UInt32, groups: Set<UInt32>, name: String) {
        self.user = user
        self.groups = groups
        self.name = name
    }

    /// The user by name, with the groups that the process had when it connected.
    ///
    /// These are the kernel's, not those of the user database: an agent may have groups that its user
    /// is not listed in (SupplementaryGroups of systemd.exec(5)), and may have given some up.
    init(_ credentials: PeerCredentials, groups: [UInt32]) {
        user = credentials.user
        name = SystemNames.user(credentials.user) ?? String(credentials.user)
        self.groups = Set(groups).union([credentials.group])
    }

    /// Whether the user is in a group, by its name.
    func isMember(of group: String?) -> Bool {
        guard let group, let number = SystemNames.group(group) else { return false }
        return groups.contains(number)
    }
}

/// Names and numbers of users and groups, by the calls that any thread may make.
enum SystemNames {
    /// Room for the strings of an entry.
    private static let room = 16 << 10

    static func user(_ number: UInt32) -> String? {
        var entry = unsafe passwd()
        var found: UnsafeMutablePointer<passwd>?
        var strings = [CChar](repeating: 0, count: room)
        guard unsafe getpwuid_r(number, &entry, &strings, strings.count, &found) == 0,
            let found = unsafe found
        else { return nil }
        return unsafe String(cString: found.pointee.pw_name)
    }

    static func group(_ name: String) -> UInt32? {
        var entry = unsafe GroupEntry()
        var found: UnsafeMutablePointer<GroupEntry>?
        var strings = [CChar](repeating: 0, count: room)
        guard unsafe getgrnam_r(name, &entry, &strings, strings.count, &found) == 0,
            let found = unsafe found
        else { return nil }
        return unsafe found.pointee.gr_gid
    }

    // `group` the type, not the function above.
    private typealias GroupEntry = Glibc.group
}
