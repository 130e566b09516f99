// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane

/// The command `xdplb neighbours list`.
struct NeighboursCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "neighbours",
        abstract: "Show next hops as the kernel knows them.",
        subcommands: [List.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List next hops and neighbours on the interface.",
            discussion: "For example:  xdplb neighbours list -o json")

        @OptionGroup var watch: WatchOptions
        @OptionGroup var socket: SocketOptions
        @OptionGroup var output: OutputOptions

        func run() throws { try watch(show) }

        private func show() throws {
            let list = try socket.client.get(NeighbourListDocument.self, "/api/v1/neighbours")
            try output.print(list) {
                var table = TableText("ADDRESS", "INTERFACE", "MAC", "STATE", ">SINCE", "BACKENDS")
                for neighbour in list.neighbours {
                    table.add(
                        neighbour.address, neighbour.interface, neighbour.mac ?? "-",
                        neighbour.state, Scaled.since(neighbour.since),
                        neighbour.backends.joined(separator: ", "))
                }
                return table
            }
        }
    }
}
