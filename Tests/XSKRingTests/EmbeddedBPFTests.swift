// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import XSKRing

@Suite struct EmbeddedBPFTests {
    @Test(
        arguments: [
            ("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"), ("Zm9vYmFy", "foobar"),
        ] as [(StaticString, String)])
    func `the test vectors of RFC 4648 section 10 are decoded`(
        _ text: StaticString, _ plain: String
    ) {
        #expect(EmbeddedBPF(name: "vector", base64: text).image() == Array(plain.utf8))
    }

    @Test func `all bits of the alphabet's last digits are kept`() {
        #expect(EmbeddedBPF(name: "digits", base64: "+/+/").image() == [0xfb, 0xff, 0xbf])
    }

    @Test func `the steering program is an ELF object for BPF`() {
        let image = EmbeddedBPF.steer.image()
        #expect(Array(image.prefix(4)) == [0x7f, 0x45, 0x4c, 0x46])
        // e_machine: EM_BPF.
        #expect(image[18] == 247)
        #expect("\(EmbeddedBPF.steer.name)" == "steer")
    }

    @Test func `an object that is none is refused by its name`() {
        let error = #expect(throws: XSKError.self) {
            _ = try BPFObject(EmbeddedBPF(name: "nonsense", base64: "Zm9vYmFy"))
        }
        #expect(error?.description.contains("cannot open the BPF object 'nonsense'") == true)
    }
}
