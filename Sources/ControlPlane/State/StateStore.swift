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

    func loadOverrides() -> [BackendOverride] {
        guard let data = FileManager.default.contents(atPath: overridesPath) else { return [] }
        var overrides: [BackendOverride] = []
        attempt("admin states and weights", overridesPath, doing: "read") {
            overrides = try AdminJSON.decode([BackendOverride].self, from: data)
        }
        return overrides
    }

    // MARK: Applied files

    /// Keeps a file as `generations/N.yaml`, and removes the oldest ones.
    func keep(_ text: String, generation: UInt64) {
        let path = "\(generationsPath)/\(generation).yaml"
        attempt("the applied file", path) {
            try write(Data(text.utf8), to: path)
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

    private func attempt(
        _ what: String, _ path: String, doing verb: String = "keep", _ body: () throws -> Void
    ) {
        do {
            try body()
        } catch {
            events.record(
                .stateNotKept, .warning,
                ["message": "cannot \(verb) \(what)", "path": path, "reason": "\(error)"])
        }
    }
}
