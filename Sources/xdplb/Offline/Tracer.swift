// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import DataPlane

/// Runs one packet through a pipeline of its own: nothing is sent, no state is changed.
enum Tracer {
    /// What a packet meets under a plan.
    ///
    /// - Parameters:
    ///   - packet: The packet.
    ///   - plan: What is decided by.
    ///   - connection: A copy of the connection it belongs to; `nil` when none is tracked.
    /// - Returns: What looking it up found, and what the pipeline did.
    /// - Throws: ``CommandFailure`` when the kernel gives no memory.
    static func trace(
        _ packet: ProbePacket, under plan: ForwardingPlan, _ connection: ConnectionRecord?
    ) throws(CommandFailure) -> (facts: TraceFacts, outcome: TraceOutcome) {
        var alone = plan
        // Every SNAT port is this pipeline's own.
        alone.workerCount = 1
        let frame = packet.frame(to: plan.link)
        let pipeline: OfflinePipeline
        do {
            pipeline = try OfflinePipeline(alone, connections: 64, hashKey: plan.hashKey)
        } catch {
            throw CommandFailure(.refused, "\(error)")
        }
        pipeline.advance(to: 0)
        if let connection { pipeline.adopt(connection) }
        let outcome = pipeline.process(frame)
        let verdict: TraceOutcome.Verdict =
            switch outcome.verdict {
            case .transmit: .transmit
            case .pass: .pass
            case .wait: .wait
            case .drop(let reason): .drop(reason.token)
            }
        return (
            ForwardingSnapshot(alone).facts(about: frame),
            TraceOutcome(
                verdict: verdict, frames: outcome.frames, service: outcome.service,
                backend: outcome.backend)
        )
    }
}
