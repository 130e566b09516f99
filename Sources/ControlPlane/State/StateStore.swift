// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The state directory: what commands set, and the files that were applied.
///
/// Nothing here is needed to forward packets: a directory that cannot be written costs that these
/// are forgotten, and is told once.
public struct StateStore: Sendable {
    /// Applied files that are kept.
    private static let keptGenerations = 20

    private let directory: String
    private let events: EventLog

    /// A store in a directory, which is made when it is not there.
    public init(_ directory: String, events: EventLog) {
        self.directory = directory
        self.events = events
    }

    private var overridesPath: String { directory + "/backends.json" }
    private var generationsPath: String { directory + "/generations" }

    // MARK: What commands set

    func keep(overrides: [BackendOverride]) {
        attempt("admin states and weights", overridesPath) {
            try write(AdminJSON.encode(overrides), to: overridesPath)
        }
    }

    /// What commands set before; nothing when the file cannot be read, which is told and put aside
    /// as `backends.json.bad`, as the next command would write another one in its place.
    func loadOverrides() -> [BackendOverride] {
        var overrides: [BackendOverride] = []
        let isRead = attempt("admin states and weights", overridesPath, doing: "read") {
            do {
                let data = try Data(contentsOf: URL(fileURLWithPath: overridesPath))
                overrides = try AdminJSON.decode([BackendOverride].self, from: data)
            } catch CocoaError.fileReadNoSuchFile {}
        }
        if !isRead {
            attempt("the unreadable file", overridesPath + ".bad") {
                try? FileManager.default.removeItem(atPath: overridesPath + ".bad")
                try FileManager.default.moveItem(
                    atPath: overridesPath, toPath: overridesPath + ".bad")
            }
        }
        return overrides
    }

    // MARK: Applied files

    /// Keeps a file as `generations/N.yaml`, and removes the oldest ones.
    ///
    /// One that is the same as the newest is not kept again: restarts push no other out.
    func keep(_ text: String, generation: UInt64) {
        let path = "\(generationsPath)/\(generation).yaml"
        let data = Data(text.utf8)
        let newest = generations.last.map { "\(generationsPath)/\($0).yaml" }
        guard newest.flatMap(FileManager.default.contents(atPath:)) != data else { return }
        attempt("the applied file", path) {
            try write(data, to: path)
            for old in generations.dropLast(Self.keptGenerations) {
                try FileManager.default.removeItem(atPath: "\(generationsPath)/\(old).yaml")
            }
        }
    }

    /// Numbers of the files that are kept, ascending.
    var generations: [UInt64] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: generationsPath)) ?? []
        return names.compactMap { name in
            name.hasSuffix(".yaml") ? UInt64(name.dropLast(5)) : nil
        }.sorted()
    }

    // MARK: Files

    /// Writes a file whole or not at all, readable by the owner and the group.
    private func write(_ data: Data, to path: String) throws {
        let folder = (path as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        try data.write(to: URL(fileURLWithPath: path), options: .atomic)
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
    }

    /// Does something to a file; says whether it worked, and tells why it did not.
    @discardableResult
    private func attempt(
        _ what: String, _ path: String, doing verb: String = "keep", _ body: () throws -> Void
    ) -> Bool {
        do {
            try body()
            return true
        } catch {
            events.record(
                .stateNotKept, .warning,
                ["message": "cannot \(verb) \(what)", "path": path, "reason": "\(error)"])
            return false
        }
    }
}
