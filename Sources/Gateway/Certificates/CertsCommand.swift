import ArgumentParser
import Foundation
import GrootCore

/// `groot-gateway certs`: the fleet's private authority.
struct CertsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certs",
        abstract: "Make the fleet's private authority and the certificates of its machines.",
        discussion: """
            Keep the authority's directory on one machine and back it up; authority.key signs everything. \
            docs/operations/certificates.md walks through it.
            """,
        subcommands: [Init.self, Issue.self, Renew.self, Revoke.self, List.self]
    )

    struct Folder: ParsableArguments {
        @Option(help: "Directory of the authority.")
        var directory = "/etc/groot-fleet/authority"

        var commands: CertificateCommands {
            CertificateCommands(folder: CertificateFolder(url: URL(filePath: directory)), now: Date())
        }
    }

    struct Subject: ParsableArguments {
        @Argument(help: "robot, worker, gateway or operator.")
        var role: String

        @Argument(help: "Name: letters, digits, _ - and . (what --robot or --name says).")
        var name: String

        @Option(help: "Where the machine's files go. Default: machines/ROLE-NAME in the authority's directory.")
        var out: String?

        func identity() throws(CertificatesError) -> PeerIdentity {
            guard let kind = PeerIdentity.Kind(rawValue: role) else {
                let roles = PeerIdentity.Kind.allCases.map(\.rawValue).joined(separator: ", ")
                throw CertificatesError(.usage, "\"\(role)\" is no role; expected one of \(roles)")
            }
            guard PeerIdentity.isUsable(name: name) else {
                throw CertificatesError(
                    .usage,
                    "\"\(name)\" is no name; expected 1 to \(PeerIdentity.maximumNameBytes) letters, digits, _ - or ."
                )
            }
            return PeerIdentity(kind, name)
        }

        func files(_ folder: CertificateFolder) throws(CertificatesError) -> CertificateCommands.MachineFiles {
            let identity = try identity()
            let home = folder.url.appending(path: "machines/\(identity.kind.rawValue)-\(identity.name)")
            return .init(directory: out.map { URL(filePath: $0) } ?? home)
        }
    }

    struct Init: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make a new authority.")

        @OptionGroup var folder: Folder

        @Option(help: "Organisation in the authority's name.")
        var name = "Groot Fleet"

        @Option(help: "Days that the authority lasts.")
        var days = CertificateAuthority.defaultDays

        func run() throws {
            try reported {
                try requireDays(days)
                let commands = folder.commands
                try commands.initialise(name: name, days: days)
                print("authority   \(commands.folder.authorityFile.path)")
                print(
                    "its key     \(commands.folder.authorityKeyFile.path) (keep it here, and a copy off this machine)"
                )
            }
        }
    }

    struct Issue: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Sign a machine's or a person's first certificate.")

        @OptionGroup var folder: Folder
        @OptionGroup var subject: Subject

        @Option(help: "DNS name at which others reach it; may be repeated.")
        var dns: [String] = []

        @Option(help: "IP address at which others reach it; may be repeated.")
        var ip: [String] = []

        @Option(help: "Days that the certificate lasts.")
        var days = CertificateAuthority.defaultIssuedDays

        func run() throws {
            try reported {
                try requireDays(days)
                let commands = folder.commands
                let addresses = try ip.map { text throws(CertificatesError) in
                    guard let address = ServerAddress(text) else {
                        throw CertificatesError(.usage, "--ip \"\(text)\" is no IP address; give names with --dns")
                    }
                    return address
                }
                for name in dns where !DNSName.isUsable(name) {
                    throw CertificatesError(.usage, "--dns \"\(name)\" is no host name")
                }
                let request = CertificateAuthority.Request(
                    identity: try subject.identity(),
                    dnsNames: dns,
                    addresses: addresses,
                    days: days
                )
                let files = try subject.files(commands.folder)
                let issued = try commands.issue(request, to: files)
                print("\(issued.identity)  serial \(issued.serial)  until \(issued.notAfter.formatted(.iso8601))")
                print("copy \(files.directory.path) to the machine; the key in it exists nowhere else")
            }
        }
    }

    struct Renew: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sign the next certificate for the same names; running processes take it up by themselves."
        )

        @OptionGroup var folder: Folder
        @OptionGroup var subject: Subject

        @Option(help: "Days that it lasts. Default: as many as the one before.")
        var days: Int?

        @Flag(help: "Make a new key as well; without it certificate.pem is the only file that changes.")
        var newKey = false

        func run() throws {
            try reported {
                if let days { try requireDays(days) }
                let commands = folder.commands
                let files = try subject.files(commands.folder)
                let (new, old) = try commands.renew(
                    try subject.identity(),
                    days: days,
                    newKey: newKey,
                    files: files
                )
                print("\(new.identity)  serial \(new.serial)  until \(new.notAfter.formatted(.iso8601))")
                print("copy \(files.certificate.path)\(newKey ? " and key.pem" : "") to the machine")
                if newKey { print("its former certificate \(old.serial) stays valid; revoke it if its key was lost") }
            }
        }
    }

    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put certificates on the deny list that --tls-revoked reads."
        )

        @OptionGroup var folder: Folder

        @Argument(help: "robot, worker, gateway or operator.")
        var role: String?

        @Argument(help: "Name; all its certificates are revoked.")
        var name: String?

        @Option(help: "Revoke only the certificate with this serial number.")
        var serial: String?

        func run() throws {
            try reported {
                let commands = folder.commands
                let victim: CertificateCommands.Victim
                switch (role, name, serial) {
                case (let role?, let name?, nil):
                    var subject = Subject()
                    subject.role = role
                    subject.name = name
                    subject.out = nil
                    victim = .identity(try subject.identity())
                case (nil, nil, let serial?): victim = .serial(serial)
                default: throw CertificatesError(.usage, "say who, as in \"robot r1\", or --serial SERIAL")
                }
                let revoked = try commands.revoke(victim)
                for certificate in revoked { print("revoked \(certificate.serial)  \(certificate.identity)") }
                if revoked.isEmpty { print("already revoked; nothing changed") }
                print("copy \(commands.folder.revokedFile.path) to every machine that runs with --tls-revoked")
            }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show what was issued and what is about to end.")

        @OptionGroup var folder: Folder

        func run() throws {
            try reported {
                let commands = folder.commands
                let revoked = try commands.folder.revoked()
                for certificate in try commands.folder.issued() {
                    let state =
                        revoked.contains(serial: certificate.serial)
                        ? "revoked" : certificate.notAfter < commands.now ? "expired" : "valid"
                    let until = certificate.notAfter.formatted(.iso8601)
                    print("\(certificate.identity.uri)  \(state)  until \(until)  serial \(certificate.serial)")
                }
            }
        }
    }
}

/// Host names of certificates: labels of letters, digits and dashes; `*` may stand for the first.
enum DNSName {
    static func isUsable(_ name: String) -> Bool {
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        guard !labels.isEmpty, name.utf8.count <= 253 else { return false }
        return labels.enumerated().allSatisfy { index, label in
            if index == 0, label == "*", labels.count > 1 { return true }
            guard (1...63).contains(label.utf8.count), label.first != "-", label.last != "-" else { return false }
            return label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
        }
    }
}

private func requireDays(_ days: Int) throws(CertificatesError) {
    guard (1...36_500).contains(days) else {
        throw CertificatesError(.usage, "--days \(days): expected 1 to 36500")
    }
}

/// Ends the process with the error's message and the exit code that fits it.
private func reported(_ body: () throws -> Void) throws {
    do {
        try body()
    } catch let error as CertificatesError {
        FileHandle.standardError.write(Data("groot-gateway certs: \(error)\n".utf8))
        throw ExitCode(GatewayExit.code(for: error).rawValue)
    }
}
