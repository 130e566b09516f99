// SPDX-License-Identifier: Apache-2.0

extension AdminDocuments {
    /// What the dashboard shows.
    func dashboard() -> DashboardDocument {
        DashboardWriter(
            status: status(), services: services(), backends: backends(),
            drops: drops(showsClients: false),
            events: events
        ).document()
    }
}
