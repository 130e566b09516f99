// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// Giving SNAT addresses back.
extension Reconciler {
    /// Releases SNAT addresses that no service uses any more and no connection has a port of.
    ///
    /// Until then they stay in the plan, as replies to them belong to connections. Each address that
    /// is left costs the workers a walk over their connections, so this is for every few seconds.
    public func releaseSNATAddresses() async {
        await gate.enter()
        defer { gate.leave() }
        let used = Set(running.plan.services.flatMap(\.snatAddresses))
        let left = running.identities.snatAddresses.filter { !used.contains($0.value) }
        let identities = running.identities
        for (address, id) in left {
            var filter = ConnectionFilter()
            filter.snatAddress = id
            // Closed ones count as well: their ports rest, and are told by the address.
            guard await link.scan(filter, .list(limit: 0)).allSatisfy({ $0.matched == 0 }) else {
                continue
            }
            running.identities.releaseSNATAddress(address)
        }
        guard running.identities != identities else { return }
        // The gate is closed, so nothing is given a number of these before the generation without
        // them; when there is none, they are still taken.
        if !(await republish(by: "snat_address_released")) { running.identities = identities }
    }
}
