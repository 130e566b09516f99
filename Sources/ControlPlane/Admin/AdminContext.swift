// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Glibc
internal import Hummingbird
internal import Logging
internal import NIOCore

/// What belongs to one request: the connection it came by.
struct AdminContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    private let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }

    /// Bodies are small documents.
    var maxUploadSize: Int { 64 << 10 }

    /// Who is at the other end of a Unix socket.
    func peer() async throws -> PeerIdentity {
        guard let provider = channel as? any SocketOptionProvider else { return .nobody }
        let credentials: PeerCredentials = try await provider.unsafeGetSocketOption(
            level: .socket, name: .init(rawValue: SO_PEERCRED)
        ).get()
        return PeerIdentity(credentials)
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

    init(_ credentials: PeerCredentials) {
        user = credentials.user
        let entry = unsafe getpwuid(credentials.user)
        name =
            unsafe entry.map { unsafe String(cString: $0.pointee.pw_name) }
            ?? String(credentials.user)
        var list = [gid_t](repeating: 0, count: 256)
        var count = Int32(list.count)
        let known = unsafe getgrouplist(name, credentials.group, &list, &count)
        groups = Set(known >= 0 ? Array(list.prefix(Int(count))) : []).union([credentials.group])
    }

    /// Whether the user is in a group, by its name.
    func isMember(of group: String?) -> Bool {
        guard let group, let entry = unsafe getgrnam(group) else { return false }
        return unsafe groups.contains(entry.pointee.gr_gid)
    }
}
