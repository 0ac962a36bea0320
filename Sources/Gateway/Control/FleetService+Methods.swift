import GRPCCore
import GRPCProtobuf
import GrootAPI
import SwiftProtobuf

/// The methods as the router knows them: the generated ones, with requests decoded by `FleetRequestDeserializer`.
extension FleetService {
    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        typealias Method = Groot_V1_Fleet.Method
        register(Method.RegisterRobot.descriptor, in: &router) { try await registerRobot(request: $0, context: $1) }
        register(Method.StartEpisode.descriptor, in: &router) { try await startEpisode(request: $0, context: $1) }
        register(Method.FinishEpisode.descriptor, in: &router) { try await finishEpisode(request: $0, context: $1) }
        register(Method.ReportTelemetry.descriptor, in: &router) { try await reportTelemetry(request: $0, context: $1) }
        register(Method.AssignRunConfig.descriptor, in: &router) { try await assignRunConfig(request: $0, context: $1) }
        register(Method.RegisterWorker.descriptor, in: &router) { try await registerWorker(request: $0, context: $1) }
    }

    private func register<Request: FleetRequest, Response: Message, Transport: ServerTransport>(
        _ method: MethodDescriptor,
        in router: inout RPCRouter<Transport>,
        _ handler:
            @escaping @Sendable (StreamingServerRequest<Request>, ServerContext) async throws ->
            StreamingServerResponse<Response>
    ) {
        router.registerHandler(
            forMethod: method,
            deserializer: FleetRequestDeserializer<Request>(instruments: instruments),
            serializer: ProtobufSerializer<Response>(),
            handler: handler
        )
    }
}
