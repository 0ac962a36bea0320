import Foundation

extension XMLRPCDocument {
    /// The document as UTF-8 text.
    func encoded() -> String {
        var text = "<?xml version=\"1.0\"?>\n"
        switch self {
        case .call(let method, let parameters):
            text += "<methodCall><methodName>\(escaped(method))</methodName><params>"
            for parameter in parameters {
                text += "<param>"
                parameter.append(to: &text)
                text += "</param>"
            }
            text += "</params></methodCall>"
        case .response(let value):
            text += "<methodResponse><params><param>"
            value.append(to: &text)
            text += "</param></params></methodResponse>"
        case .fault(let code, let message):
            text += "<methodResponse><fault>"
            XMLRPCValue.structure(["faultCode": .int(code), "faultString": .string(message)]).append(to: &text)
            text += "</fault></methodResponse>"
        }
        return text + "\n"
    }
}

extension XMLRPCValue {
    fileprivate func append(to text: inout String) {
        text += "<value>"
        switch self {
        case .int(let value): text += "<int>\(value)</int>"
        case .bool(let value): text += "<boolean>\(value ? 1 : 0)</boolean>"
        case .double(let value): text += "<double>\(value)</double>"
        case .string(let value): text += "<string>\(escaped(value))</string>"
        case .dateTime(let value): text += "<dateTime.iso8601>\(escaped(value))</dateTime.iso8601>"
        case .bytes(let value): text += "<base64>\(Data(value).base64EncodedString())</base64>"
        case .array(let values):
            text += "<array><data>"
            for value in values { value.append(to: &text) }
            text += "</data></array>"
        case .structure(let members):
            text += "<struct>"
            for (name, value) in members.sorted(by: { $0.key < $1.key }) {
                text += "<member><name>\(escaped(name))</name>"
                value.append(to: &text)
                text += "</member>"
            }
            text += "</struct>"
        }
        text += "</value>"
    }
}

/// Escapes markup and drops the control characters that XML cannot carry.
private func escaped(_ text: String) -> String {
    var result = ""
    result.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
        switch scalar {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\r": result += "&#13;"
        case "\n", "\t": result.unicodeScalars.append(scalar)
        case _ where scalar.value < 0x20: continue
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}
