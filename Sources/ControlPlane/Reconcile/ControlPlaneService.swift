// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// What commands, metrics and pages are served from.
public protocol ControlPlaneService: Sendable {
    /// What is known now.
    func view() async -> ControlView

    /// Makes a change, whole or not at all.
    ///
    /// - Parameters:
    ///   - change: What is asked for.
    ///   - user: Who asks, for logs and `changed by`.
    ///   - generation: Refuse unless this one is current; `nil` does not ask.
    ///   - dryRun: Say what would happen, and do nothing.
    /// - Returns: What was done, or would be.
    /// - Throws: ``ChangeRefused`` with the reason; nothing was changed then.
    func apply(
        _ change: Change, by user: String, ifGeneration generation: UInt64?, dryRun: Bool
    ) async throws(ChangeRefused) -> ChangeReport

    /// What a configuration would change of what runs.
    ///
    /// - Parameters:
    ///   - text: The content of a file.
    ///   - name: What it is called in errors.
    /// - Returns: What becomes of what, and of connections.
    /// - Throws: ``ChangeRefused`` with all that is wrong with it.
    func plan(
        _ text: String, named name: String
    ) async throws(ChangeRefused) -> ConfigurationPlan

    /// Applies the file that the daemon was started from, whole or not at all.
    ///
    /// - Parameters:
    ///   - user: Who asks.
    ///   - confirm: Go back after this time unless it is reloaded again; `nil` does not.
    ///   - generation: Refuse unless this one is current; `nil` does not ask.
    ///   - dryRun: Say what would happen, and do nothing.
    /// - Returns: What was done, or would be.
    /// - Throws: ``ChangeRefused`` with the reason; nothing was changed then.
    func reload(
        by user: String, confirm: Duration?, ifGeneration generation: UInt64?, dryRun: Bool
    ) async throws(ChangeRefused) -> ChangeReport

    /// The last events, the newest first.
    func recentEvents(_ limit: Int) async -> [ControlEvent]

    /// Connections that match, at most `limit` of them, and how many matched in all.
    func connections(
        _ filter: ConnectionFilter, limit: Int
    ) async -> (records: [ConnectionRecord], matched: Int)

    /// Where a packet would go, and why; nothing is sent or changed.
    ///
    /// - Throws: ``ChangeRefused`` when it cannot be tried.
    func trace(_ packet: ProbePacket) async throws(ChangeRefused) -> TraceDocument

    /// Ends the connections that match.
    ///
    /// - Returns: How many were ended.
    func flushConnections(_ filter: ConnectionFilter, by user: String) async -> Int
}
