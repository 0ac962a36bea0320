import GrootAPI
import GrootCore

// Texts for people are cleaned and clipped where they leave, so that no word of an operator, worker or robot can make a
// record unacceptable. The gateway does it again where they arrive; the limits are its.

/// Longest texts of telemetry, UTF-8 bytes.
enum TextLimit {
    static let name = 128
    static let checkpoint = 256
    static let task = 1024
    static let text = 2048
}

extension Groot_V1_RegisterRobotRequest {
    var withCleanTexts: Self {
        var request = self
        request.profile = PeopleText.clean(profile, limit: TextLimit.name)
        request.agentVersion = PeopleText.clean(agentVersion, limit: TextLimit.name)
        request.host = PeopleText.clean(host, limit: TextLimit.name)
        return request
    }
}

extension Groot_V1_StartEpisodeRequest {
    var withCleanTexts: Self {
        var request = self
        request.task = PeopleText.clean(task, limit: TextLimit.task)
        request.checkpoint = PeopleText.clean(checkpoint, limit: TextLimit.checkpoint)
        request.checkpointSha256 = PeopleText.clean(checkpointSha256, limit: TextLimit.name)
        return request
    }
}

extension Groot_V1_FinishEpisodeRequest {
    var withCleanTexts: Self {
        var request = self
        request.reason = PeopleText.clean(reason, limit: TextLimit.text)
        request.notes = PeopleText.clean(notes, limit: TextLimit.text)
        return request
    }
}

extension Groot_V1_InferenceRecord {
    var withCleanTexts: Self {
        var record = self
        record.requestID = PeopleText.clean(requestID, limit: TextLimit.name)
        record.worker = PeopleText.clean(worker, limit: TextLimit.name)
        record.checkpoint = PeopleText.clean(checkpoint, limit: TextLimit.checkpoint)
        record.checkpointSha256 = PeopleText.clean(checkpointSha256, limit: TextLimit.name)
        record.message = PeopleText.clean(message, limit: TextLimit.text)
        return record
    }
}

extension Groot_V1_Event {
    var withCleanTexts: Self {
        var event = self
        event.message = PeopleText.clean(message, limit: TextLimit.text)
        return event
    }
}
