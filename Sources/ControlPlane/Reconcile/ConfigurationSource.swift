// SPDX-License-Identifier: Apache-2.0
public import struct Foundation.Date

/// The file that a daemon was started from, and can read again.
public struct ConfigurationSource: Sendable {
    /// Its path.
    public let path: String
    /// What was in it at the start.
    let text: String
    /// Where what outlives a restart is kept.
    public let store: StateStore
    /// What the command line overrides of every file.
    private let adjust: @Sendable (inout Configuration) -> Void
    /// Is told of each configuration that has begun to run.
    let applied: @Sendable (Configuration) -> Void

    /// The source of what a daemon starts with.
    public init(
        _ file: ConfigurationFile, store: StateStore,
        adjust: @escaping @Sendable (inout Configuration) -> Void = { _ in },
        applied: @escaping @Sendable (Configuration) -> Void = { _ in }
    ) {
        path = file.path
        text = file.text
        self.store = store
        self.adjust = adjust
        self.applied = applied
    }

    /// Reads the file and checks it against this host.
    func read() throws(ConfigurationError) -> (text: String, configuration: Configuration) {
        let facts = HostFacts.read(for: try ConfigurationFile.load(path).configuration)
        let file = try ConfigurationFile.load(path, against: facts)
        return (file.text, adjusted(file.configuration))
    }

    /// A configuration as it would run here.
    func adjusted(_ configuration: Configuration) -> Configuration {
        var copy = configuration
        adjust(&copy)
        return copy
    }
}

/// How the last reload went.
public struct ReloadState: Sendable {
    /// Whether it was applied.
    public var isSuccessful = true
    /// When one was applied last; the start counts as one.
    public var succeededAt = Date()
    /// Why the last one was refused; `nil` when it was not.
    public var message: String?
    /// When the running generation is undone unless it is confirmed; `nil` when it is not to be.
    public var confirmUntil: Date?
}
