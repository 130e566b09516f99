// SPDX-License-Identifier: Apache-2.0
public import ControlPlane
internal import DataPlane
internal import Synchronization
public import Workers
internal import XSKRing

/// The data path as the control plane sees it: workers, sockets and steering program.
final class DataPlaneLink: DataPlaneHandle {
    let facts: DataPlaneFacts
    private let pool: WorkerPool
    private let sockets: [Int32]
    private let steering: Mutex<Steered>

    /// The program; `nil` once it was taken off.
    private struct Steered: ~Copyable {
        var program: SteeringProgram?
    }

    init(
        facts: DataPlaneFacts, pool: WorkerPool, sockets: [Int32],
        program: consuming SteeringProgram
    ) {
        self.facts = facts
        self.pool = pool
        self.sockets = sockets
        steering = Mutex(Steered(program: program))
    }

    var counterPages: [CounterPage] { pool.counterPages }

    /// The steering program gets what is new before the workers do and loses what is old after
    /// them, so that no frame that a service is offered for passes by.
    func publish(_ plan: ForwardingPlan) async throws(PublishError) {
        let next = SteeringRules(plan)
        try steer { $0.merging(next) }
        await pool.publish(ForwardingSnapshot(plan))
        try steer { _ in next }
    }

    private func steer(_ change: (SteeringRules) -> SteeringRules) throws(PublishError) {
        let failure = steering.withLock { steered -> XSKError? in
            guard let rules = steered.program?.rules else { return nil }
            do throws(XSKError) {
                try steered.program?.change(to: change(rules))
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw PublishError(failure.description) }
    }

    func scan(
        _ filter: ConnectionFilter, _ action: ConnectionScan.Action
    ) async -> [ConnectionScan] {
        await pool.scan(filter, action)
    }

    func trace(
        _ packet: ProbePacket, under plan: ForwardingPlan, _ connection: ConnectionRecord?
    ) async throws(PublishError) -> (facts: TraceFacts, outcome: TraceOutcome) {
        do throws(CommandFailure) {
            return try Tracer.trace(packet, under: plan, connection)
        } catch {
            throw PublishError(error.description)
        }
    }

    func capture(_ settings: CaptureSettings) throws(PublishError) -> any CaptureSource {
        do throws(XSKError) {
            return try pool.capture(settings)
        } catch {
            throw PublishError(error.description)
        }
    }

    func kernelCounters() -> KernelCounters {
        var counters = KernelCounters()
        steering.withLock { steered in
            guard let verdicts = steered.program?.verdictCounters() else { return }
            counters.redirected = verdicts.redirected
            counters.passed = verdicts.passed
            counters.withoutSocket = verdicts.withoutSocket
        }
        counters.sockets = zip(sockets, counterPages).map(Self.socketCounters)
        return counters
    }

    private static func socketCounters(_ socket: Int32, _ page: CounterPage) -> SocketCounters {
        let kernel = XSKQueue.statistics(of: socket)
        var counters = SocketCounters()
        counters.rxDropped = kernel.rxDropped
        counters.rxRingFull = kernel.rxRingFull
        counters.rxInvalid = kernel.rxInvalid
        counters.txInvalid = kernel.txInvalid
        counters.fillRingEmpty = kernel.fillRingEmpty
        counters.txRingEmpty = kernel.txRingEmpty
        counters.chunks = [
            "fill": Int(page[.chunksFill]), "rx": Int(page[.chunksReceived]),
            "tx": Int(page[.chunksTransmitting]), "completion": Int(page[.chunksCompleted]),
            "free": Int(page[.chunksFree]),
        ]
        return counters
    }

    /// Lets frames reach the sockets from now on.
    func open() throws(XSKError) {
        let failure = steering.withLock { steered -> XSKError? in
            do throws(XSKError) {
                for (worker, socket) in zip(facts.workers, sockets) {
                    try steered.program?.setSocket(socket, queue: worker.queue)
                }
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    /// Takes the program off the interface, and then ends the workers: from here on it is an
    /// ordinary interface.
    func close() {
        detach()
        pool.stop()
    }

    /// Takes the program off the interface: frames go to the kernel from here on.
    func detach() { steering.withLock { $0.program = nil } }
}

extension WorkerCapture: CaptureSource {}
