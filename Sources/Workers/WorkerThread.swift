// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import Glibc
internal import Synchronization

/// Why a thread could not be started.
public struct WorkerThreadError: Error, CustomStringConvertible {
    /// What was attempted, on what, and the answer.
    public let description: String
}

/// A named OS thread that is pinned to a CPU and joined at the end.
@safe
public struct WorkerThread: ~Copyable, @unchecked Sendable {
    private let thread: pthread_t

    /// Starts a thread that runs `body` once it has its name and CPU.
    ///
    /// - Parameters:
    ///   - name: At most 15 bytes, as `ps -L` shows it.
    ///   - cpu: The CPU it may run on; `nil` leaves that to the kernel.
    ///   - body: What it runs, once.
    /// - Throws: When the kernel gives no thread or not that CPU; `body` then never runs.
    public init(
        name: String, cpu: Int?, _ body: @escaping @Sendable () -> Void
    ) throws(WorkerThreadError) {
        let start = Start(name: name, cpu: cpu, body)
        var thread = pthread_t()
        let argument = unsafe Unmanaged.passRetained(start).toOpaque()
        let created = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument)
        guard created == 0 else {
            unsafe Unmanaged<Start>.fromOpaque(argument).release()
            throw WorkerThreadError(
                description: "cannot start thread \(name): \(Self.text(created))")
        }
        let pinned = start.waitUntilPinned()
        guard pinned == 0 else {
            pthread_join(thread, nil)
            let place = cpu.map { "CPU \($0)" } ?? "a CPU"
            throw WorkerThreadError(
                description: """
                    cannot pin thread \(name) to \(place): \(Self.text(pinned)). \
                    'workers.cores' must name CPUs that are online and allowed.
                    """)
        }
        self.thread = thread
    }

    /// Waits until the thread has ended.
    public consuming func join() { pthread_join(thread, nil) }

    private static func text(_ error: Int32) -> String { unsafe String(cString: strerror(error)) }
}

/// What a new thread needs, and its answer.
private final class Start: Sendable {
    private let name: String
    private let cpu: Int?
    private let body: @Sendable () -> Void
    private let result = Mutex<Int32?>(nil)

    init(name: String, cpu: Int?, _ body: @escaping @Sendable () -> Void) {
        self.name = name
        self.cpu = cpu
        self.body = body
    }

    func run() {
        let error = unsafe cplatform_name_and_pin_thread(name, Int32(cpu ?? -1))
        result.withLock { $0 = error }
        if error == 0 { body() }
    }

    /// The answer comes within microseconds, once in the life of a thread: polling is enough.
    func waitUntilPinned() -> Int32 {
        while true {
            if let error = result.withLock({ $0 }) { return error }
            usleep(50)
        }
    }
}
