// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import Foundation
internal import Glibc
internal import Synchronization

/// A network namespace for a test, with a thread that lives in it.
///
/// Named after the process that made it: ``close()`` removes it, and the next run removes those
/// of processes that died before they could.
public final class Namespace: Sendable {
    private static let prefix = "xdplb-test"
    private static let serial = Atomic<Int>(0)

    /// The name `ip netns` shows.
    public let name: String
    private let executor: NamespaceExecutor

    /// Makes an empty namespace with `lo` up and no IPv6.
    ///
    /// - Parameter role: What it stands for, as part of the name.
    /// - Throws: ``CommandError``, in particular without root: such a test fails, it is not skipped.
    public init(_ role: String) throws(CommandError) {
        Self.removeLeftOvers
        let number = Self.serial.add(1, ordering: .relaxed).newValue
        name = "\(Self.prefix)-\(getpid())-\(number)-\(role)"
        try Command.run(["ip", "netns", "add", name])
        do throws(CommandError) {
            executor = try NamespaceExecutor(path: "/run/netns/\(name)")
            try run("ip", "link", "set", "lo", "up")
            try run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        } catch {
            _ = try? Command.run(["ip", "netns", "delete", name])
            throw error
        }
    }

    /// Removes it.
    ///
    /// What is done in it must have ended.
    public func close() {
        executor.stop()
        _ = try? Command.run(["ip", "netns", "delete", name])
    }

    /// Runs a command in it.
    ///
    /// - Returns: What it printed.
    /// - Throws: When it exits with anything but 0.
    @discardableResult
    public func run(_ command: String...) throws(CommandError) -> String {
        try Command.run(["ip", "netns", "exec", name] + command)
    }

    /// Runs `body` on the namespace's thread: sockets it opens belong here, and /sys shows the
    /// interfaces of here.
    ///
    /// - Precondition: `body` does not block the thread for others for long, and is isolated to
    ///   no actor.
    public func perform<Result>(
        _ body: () async throws -> Result
    ) async rethrows -> Result {
        try await withTaskExecutorPreference(executor) { try await body() }
    }

    private static let removeLeftOvers: Void = {
        let listing = (try? Command.run(["ip", "netns", "list"])) ?? ""
        for line in listing.split(separator: "\n") {
            let name = String(line.prefix { $0 != " " })
            let parts = name.dropFirst(prefix.count + 1).split(separator: "-")
            guard name.hasPrefix(prefix + "-"), let owner = parts.first.flatMap({ Int32($0) }),
                kill(owner, 0) != 0
            else { continue }
            _ = try? Command.run(["ip", "netns", "delete", name])
        }
    }()
}

/// Runs jobs on one thread, inside a network namespace.
private final class NamespaceExecutor: TaskExecutor, @unchecked Sendable {
    private let condition = NSCondition()
    private var jobs: [UnownedJob] = []
    private var isStopped = false
    private var error: Int32?

    init(path: String) throws(CommandError) {
        Thread { [self] in loop(path) }.start()
        condition.lock()
        while error == nil { condition.wait() }
        let answer = error ?? 0
        condition.unlock()
        guard answer == 0 else {
            throw CommandError(description: "cannot enter \(path): errno \(answer)")
        }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        condition.lock()
        jobs.append(job)
        condition.broadcast()
        condition.unlock()
    }

    func stop() {
        condition.lock()
        isStopped = true
        condition.broadcast()
        condition.unlock()
    }

    private func loop(_ path: String) {
        let answer = unsafe cplatform_enter_network_namespace(path)
        condition.lock()
        error = answer
        condition.broadcast()
        while answer == 0 {
            while jobs.isEmpty && !isStopped { condition.wait() }
            guard !jobs.isEmpty else { break }
            let job = jobs.removeFirst()
            condition.unlock()
            unsafe job.runSynchronously(on: asUnownedTaskExecutor())
            condition.lock()
        }
        condition.unlock()
    }
}

/// A command that did not do what it should.
public struct CommandError: Error, CustomStringConvertible {
    /// The command, its exit status and what it printed.
    public let description: String
}

private enum Command {
    @discardableResult
    static func run(_ words: [String]) throws(CommandError) -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        let line = words.joined(separator: " ")
        do { try process.run() } catch {
            throw CommandError(description: "cannot run '\(line)': \(error)")
        }
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw CommandError(
                description: "'\(line)' exited with \(process.terminationStatus): \(text)")
        }
        return text
    }
}
