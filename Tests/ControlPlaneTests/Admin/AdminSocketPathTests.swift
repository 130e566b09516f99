// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ControlPlane

/// Who can connect to the admin socket at all.
@Suite struct AdminSocketPathTests {
    /// Permissions of a file after it was opened for groups.
    private static func permissions(
        change: String?, read: String?
    ) throws -> Int? {
        let path = FileManager.default.temporaryDirectory.appending(
            path: "xdplb-socket-\(UUID().uuidString)"
        ).path
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        defer { try? FileManager.default.removeItem(atPath: path) }
        var admin = AdminConfiguration()
        admin.changeGroup = change
        admin.readGroup = read
        AdminSocketPath.open(path, for: admin)
        return try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test func `everybody can connect where the host has one of the groups`() throws {
        #expect(try Self.permissions(change: nil, read: "root") == 0o666)
        #expect(try Self.permissions(change: "root", read: "xdplb-no-such-group") == 0o666)
    }

    @Test func `only root can connect where the host has none, or none is named`() throws {
        #expect(try Self.permissions(change: nil, read: nil) == 0o600)
        #expect(
            try Self.permissions(change: "xdplb-no-such-group", read: "xdplb-no-such-group")
                == 0o600)
    }
}
