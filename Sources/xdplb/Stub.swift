import ArgumentParser
import ControlPlane
struct CheckCommand: ParsableCommand { static let configuration = CommandConfiguration(commandName: "check"); func run() throws {} }
struct DecapCommand: ParsableCommand { static let configuration = CommandConfiguration(commandName: "decap"); func run() throws {} }
enum ConfigurationFile { static func load(_ p: String) throws -> (configuration: Configuration, x: Int) { throw CommandFailure(.invalid, "no") } }
