// SPDX-License-Identifier: Apache-2.0

/// A piece of HTML in which every text was escaped: no other text gets in.
struct HTML: Sendable {
    /// The piece as it is sent.
    private(set) var markup: String

    private init(markup: String) { self.markup = markup }

    /// Nothing.
    static let nothing = HTML(markup: "")

    /// A text that is shown as it is, whatever is in it.
    static func text(_ text: String) -> HTML { HTML(markup: escaped(text)) }

    /// An element and what is in it.
    static func element(
        _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String> = [:],
        @HTMLBuilder _ content: () -> HTML = { .nothing }
    ) -> HTML {
        HTML(markup: "\(tag(name, attributes))\(content().markup)</\(name)>")
    }

    /// An element that has no end and holds nothing, such as `meta`.
    static func void(
        _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String>
    ) -> HTML {
        HTML(markup: tag(name, attributes))
    }

    /// A whole document.
    static func document(@HTMLBuilder _ content: () -> HTML) -> HTML {
        HTML(markup: "<!doctype html>\n\(element("html", ["lang": "en"], content).markup)\n")
    }

    fileprivate static func joined(_ parts: [HTML]) -> HTML {
        HTML(markup: parts.map(\.markup).joined())
    }

    private static func tag(
        _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String>
    ) -> String {
        let list = attributes.map { " \($0.key)=\"\(escaped($0.value))\"" }
        return "<\(name)\(list.joined())>"
    }

    /// The five characters that end a text or the value of an attribute.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}

/// Lets pieces of HTML stand below each other as in the page that they make.
@resultBuilder
enum HTMLBuilder {
    static func buildExpression(_ text: String) -> HTML { .text(text) }
    static func buildExpression(_ piece: HTML) -> HTML { piece }
    static func buildBlock(_ pieces: HTML...) -> HTML { .joined(pieces) }
    static func buildArray(_ pieces: [HTML]) -> HTML { .joined(pieces) }
    static func buildOptional(_ piece: HTML?) -> HTML { piece ?? .nothing }
    static func buildEither(first piece: HTML) -> HTML { piece }
    static func buildEither(second piece: HTML) -> HTML { piece }
}
