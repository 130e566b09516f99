// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import XSKRing

@Suite struct XSKErrorTests {
    @Test func `an error says what was attempted, the answer and the next step`() {
        let error = XSKError(
            "cannot bind an AF_XDP socket to ens5f0 queue 3", errno: EBUSY,
            remedy: "Another process holds this queue")
        #expect(
            error.description == """
                cannot bind an AF_XDP socket to ens5f0 queue 3: device or resource busy (EBUSY). \
                Another process holds this queue
                """)
        #expect(error.errno == EBUSY)
    }

    @Test func `an error nothing is known about ends with its name`() {
        #expect(XSKError("cannot do it", errno: ENOENT).description.hasSuffix("(ENOENT)"))
        #expect(XSKError("cannot do it", errno: 524).description.hasSuffix("(ENOTSUPP)"))
        #expect(XSKError("cannot do it", errno: 9999).description.hasSuffix("(errno 9999)"))
    }

    @Test func `an error of our own has no number`() {
        #expect(XSKError("no").errno == 0)
        #expect(XSKError("no").description == "no")
    }

    @Test func `an interface that does not exist is named`() {
        let error = #expect(throws: XSKError.self) { try InterfaceFacts(name: "xdplbnone0") }
        #expect(error?.description.hasPrefix("cannot find interface xdplbnone0: ") == true)
        #expect(error?.description.contains("'ip link'") == true)
    }
}

@Suite struct XSKOptionsTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let change: @Sendable (inout XSKOptions) -> Void
    }

    @Test func `the defaults are sound`() { #expect(XSKOptions().problem == nil) }

    @Test(arguments: [
        Case(testDescription: "RX ring has 3000 descriptors") { $0.rxRing = 3000 },
        Case(testDescription: "TX ring has 0 descriptors") { $0.txRing = 0 },
        Case(testDescription: "fill ring has -8 descriptors") { $0.fillRing = -8 },
        Case(testDescription: "completion ring has 2097152 descriptors") {
            $0.completionRing = 1 << 21
        },
        Case(testDescription: "chunks have 3000 bytes") { $0.chunkSize = 3000 },
        Case(testDescription: "it has no chunks") { $0.chunkCount = 0 },
    ])
    func `a size that cannot be is named`(_ example: Case) {
        var options = XSKOptions()
        example.change(&options)
        #expect(options.problem?.contains(example.testDescription) == true)
    }
}
