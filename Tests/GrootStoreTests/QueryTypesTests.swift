import GrootStore
import Testing

/// sqlc's guarantee without the generator: every query is prepared on a real server and its types are compared.
@Suite(.needsPostgres)
struct QueryTypesTests {
    @Test func everyQueryHasTheDeclaredTypes() async throws {
        let connection = try PostgresConnection(
            conninfo: await TestCluster.shared.migratedDatabase(),
            timeout: .seconds(20)
        )
        for query in Queries.all {
            let declared = PostgresStatementShape(
                parameters: query.parameters.map(\.rawValue),
                columns: query.columns.map { .init(name: $0.name, type: $0.type.rawValue) }
            )
            #expect(try connection.describe(query.sql) == declared, "\(query.name)")
        }
        for table in TelemetryTable.allCases {
            let columns = try connection.describe(table.shape).columns
            #expect(columns == table.columns.map { .init(name: $0.name, type: $0.type.rawValue) }, "\(table)")
        }
        #expect(Set(Queries.all.map(\.name)).count == Queries.all.count)
        #expect(Queries.all.count == 63, "a query without its line in Queries.all escapes this test")
    }

    @Test func describingNoticesAWrongDeclaration() async throws {
        let connection = try PostgresConnection(
            conninfo: await TestCluster.shared.migratedDatabase(),
            timeout: .seconds(20)
        )
        let shape = try connection.describe("SELECT robot FROM robots WHERE robot = $1")
        #expect(shape.parameters == [PostgresType.text.rawValue])
        #expect(shape.columns == [.init(name: "robot", type: PostgresType.text.rawValue)])
        #expect(throws: StoreError.self) { try connection.describe("SELECT no_such_column FROM robots") }
        #expect(try connection.execute("SELECT 1").rows.count == 1)
    }
}
