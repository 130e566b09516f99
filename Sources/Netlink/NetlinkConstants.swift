// SPDX-License-Identifier: Apache-2.0

// Numbers of the kernel's interface that Glibc's module does not have.

/// <linux/netlink.h>.
enum NetlinkHeader {
    static let byteCount = 16
    static let error: UInt16 = 2
    static let done: UInt16 = 3
    static let overrun: UInt16 = 4

    static let request: UInt16 = 0x1
    static let multi: UInt16 = 0x2
    static let acknowledge: UInt16 = 0x4
    static let dump: UInt16 = 0x300
    static let replace: UInt16 = 0x100
    static let create: UInt16 = 0x400
    /// Flags of an answer.
    static let capped: UInt16 = 0x100
    static let extendedAcknowledge: UInt16 = 0x200

    static let protocolRoute: Int32 = 0
    static let protocolGeneric: Int32 = 16
    static let socketLevel: Int32 = 270
    static let addMembership: Int32 = 1
    static let extendedAcknowledgeOption: Int32 = 11
    static let strictChecking: Int32 = 12
}

/// <linux/rtnetlink.h>: kinds of message.
enum RouteMessageType {
    static let newLink: UInt16 = 16
    static let deleteLink: UInt16 = 17
    static let getLink: UInt16 = 18
    static let newAddress: UInt16 = 20
    static let deleteAddress: UInt16 = 21
    static let getAddress: UInt16 = 22
    static let newRoute: UInt16 = 24
    static let deleteRoute: UInt16 = 25
    static let getRoute: UInt16 = 26
    static let newNeighbour: UInt16 = 28
    static let deleteNeighbour: UInt16 = 29
    static let getNeighbour: UInt16 = 30
    static let getNamespaceIdentifier: UInt16 = 90
}

/// <linux/rtnetlink.h>: groups of events.
enum RouteMessageGroup {
    static let link: UInt32 = 1
    static let neighbour: UInt32 = 3
    static let ipv4Address: UInt32 = 5
    static let ipv4Route: UInt32 = 7
    static let ipv6Address: UInt32 = 9
    static let ipv6Route: UInt32 = 11
}
