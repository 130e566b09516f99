// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Foundation
import Logging
import TestSupport
import Testing

@testable import ControlPlane

/// The description of the admin API beside the API itself.
@Suite struct OpenAPITests {
    private static func handlers() throws -> AdminHandlers {
        let link = RecordingLink()
        let observed = ObservedState(
            mac: .zero, mtu: 1500, isUp: true, addresses: [], routes: [], neighbours: [:])
        let start = Reconciler.Start(
            configuration: Configuration(interface: InterfaceConfiguration(name: "lb0")),
            observed: observed, hashKey: PlanFixture.key,
            capacity: PipelineCapacity(
                connections: 1024, snatBackends: 4, snatAddresses: 2, snatPortsPerAddress: 64),
            workerCount: 1, interfacePorts: [])
        let events = EventLog(Logger(label: "test"))
        return AdminHandlers(
            control: try Reconciler(start, link: link, events: events),
            dataPlane: link, admin: AdminConfiguration(), state: AdminRuntime(events: events),
            build: BuildFacts(version: "test", commit: "unknown"))
    }

    private static func document() throws -> [String: Any] {
        let data = try OpenAPIDocument.data(version: "test")
        return try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    @Test func `every route is described, and nothing else is`() throws {
        let served = try Self.handlers().routes.map { "\($0.method) \($0.path) \($0.exposure)" }
        let described = AdminHandlers.operations.map { "\($0.method) \($0.path) \($0.exposure)" }
        #expect(Set(served) == Set(described))
        #expect(Set(served).count == served.count && Set(described).count == described.count)
    }

    @Test func `operations have names of their own, and sentences without full stop`() {
        let operations = AdminHandlers.operations
        #expect(Set(operations.map(\.id)).count == operations.count)
        #expect(operations.allSatisfy { !$0.summary.isEmpty && !$0.summary.hasSuffix(".") })
    }

    @Test func `every parameter of a path is described, and no other`() {
        for operation in AdminHandlers.operations {
            let named = operation.path.split(separator: "/").filter { $0.hasPrefix("{") }
            let described = operation.parameters.filter { $0.place == .path }
            #expect(named.map(String.init) == described.map { "{\($0.name)}" })
        }
    }

    @Test func `every document that is referred to has its members`() throws {
        let document = try Self.document()
        let components = try #require(document["components"] as? [String: Any])
        let schemas = try #require(components["schemas"] as? [String: [String: Any]])
        for (name, schema) in schemas {
            let members = try #require(schema["properties"] as? [String: Any], "\(name)")
            #expect(!members.isEmpty, "\(name)")
        }
        let text = String(decoding: try OpenAPIDocument.data(version: "test"), as: UTF8.self)
        for reference in text.matches(of: /#\/components\/schemas\/([\w.]+)/) {
            #expect(schemas[String(reference.1)] != nil, "\(reference.1)")
        }
    }

    @Test func `a body's members are those that it takes`() throws {
        let book = SchemaBook()
        for body in AdminHandlers.operations.compactMap(\.body) {
            _ = book.schema(of: body)
            let members = book.schemas[SchemaBook.name(of: body)]?.members["properties"]?.members
            #expect(Set(try #require(members).keys) == body.members)
        }
    }

    @Test func `a member that may be left out may be null, one that is null is always there`()
        throws
    {
        let book = SchemaBook()
        _ = book.schema(of: BackendDocument.self)
        _ = book.schema(of: ServiceUpdateBody.self)
        let backend = try #require(book.schemas["BackendDocument"]?.members)
        #expect(backend["properties"]?.members["reason"] == ["type": ["string", "null"]])
        #expect(backend["required"]?.elements.contains("reason") == true)
        let update = try #require(book.schemas["ServiceUpdateBody"]?.members)
        #expect(update["properties"]?.members["snat_pool"] == ["type": ["string", "null"]])
        #expect(update["required"] == ["backends"])
    }

    @Test func `a route is found by its path, whatever the names in it`() throws {
        let routes = try Self.handlers().routes
        func methods(_ path: String) -> Set<String> {
            Set(routes.filter { $0.matches(path) }.map(\.method.rawValue))
        }
        #expect(methods("/api/v1/services/web") == ["GET", "PUT", "DELETE"])
        #expect(methods("/api/v1/services/40.1.1.1:80%2Ftcp/backends/x") == ["PATCH"])
        #expect(methods("/api/v1/services/a/b").isEmpty && methods("/nowhere").isEmpty)
    }
}
