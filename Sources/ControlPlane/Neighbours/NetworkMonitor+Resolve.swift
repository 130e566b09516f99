// SPDX-License-Identifier: Apache-2.0
public import DataPlane
internal import Netlink

extension NetworkMonitor {
    /// Asks the kernel to resolve addresses on an interface, as it does for packets of its own.
    ///
    /// What comes of it ``read(_:)`` tells a moment later.
    ///
    /// - Throws: When there is no such interface, or the kernel refuses.
    public static func resolve(
        _ addresses: [IPAddress], on interface: ObservedInterface
    ) throws(ObservationError) {
        do {
            var requests = try NetlinkSocket(for: .requests)
            let device = try KernelTables(&requests).device(of: interface).index
            for address in addresses {
                try requests.resolve(address.bytes, interface: device)
            }
        } catch let error as ObservationError {
            throw error
        } catch {
            throw ObservationError(description: "\(error)")
        }
    }
}
