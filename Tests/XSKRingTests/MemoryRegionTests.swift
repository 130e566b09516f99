// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import XSKRing

@Suite struct MemoryRegionTests {
    @Test(arguments: [1, 4096, 4097, 1 << 20])
    func `memory is zero, of whole pages, and writable to its last byte`(byteCount: Int) throws {
        let region = try MemoryRegion(
            name: "test", byteCount: byteCount, node: 0, hugePages: .never, touched: true)
        let bytes = unsafe region.bytes
        #expect(bytes.count >= byteCount)
        #expect(bytes.count % 4096 == 0)
        #expect(region.isHuge == false)
        #expect(unsafe bytes.allSatisfy { $0 == 0 })
        unsafe (bytes[bytes.count - 1] = 7)
        #expect(unsafe bytes[bytes.count - 1] == 7)
    }

    @Test func `the descriptor shows the same memory to whoever maps it`() throws {
        let region = try MemoryRegion(
            name: "test", byteCount: 4096, node: nil, hugePages: .never, touched: false)
        unsafe (region.bytes[100] = 42)
        var byte: UInt8 = 0
        #expect(unsafe pread(region.fileDescriptor, &byte, 1, 100) == 1)
        #expect(byte == 42)
    }

    @Test func `huge pages are used when there are any and done without when not`() throws {
        let region = try MemoryRegion(
            name: "test", byteCount: 4096, node: nil, hugePages: .automatic, touched: true)
        #expect(region.byteCount == (region.isHuge ? 2 << 20 : 4096))
    }

    @Test func `large memory begins where a huge page may, whether there are any or not`() throws {
        let region = try MemoryRegion(
            name: "test", byteCount: (4 << 20) + 1, node: nil, hugePages: .automatic, touched: true)
        let bytes = unsafe region.bytes
        #expect(bytes.count == 6 << 20)
        #expect(unsafe Int(bitPattern: bytes.baseAddress) % (2 << 20) == 0)
        #expect(unsafe bytes.allSatisfy { $0 == 0 })
        unsafe (bytes[bytes.count - 1] = 7)
        #expect(unsafe bytes[bytes.count - 1] == 7)
    }

    @Test func `more huge pages than there are is an error that says how to get some`() {
        let error = #expect(throws: XSKError.self) {
            _ = try MemoryRegion(
                name: "test", byteCount: 1 << 44, node: nil, hugePages: .required, touched: false)
        }
        #expect(error?.description.contains("16777216 MiB of huge pages for test") == true)
        #expect(error?.description.contains("vm.nr_hugepages") == true)
    }
}
