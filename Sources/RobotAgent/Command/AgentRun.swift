package import GrootCore
package struct AgentRun { let configuration: AgentConfiguration; package func run() async -> ProcessExit { .ok } }
