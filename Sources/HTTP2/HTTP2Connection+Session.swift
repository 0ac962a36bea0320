import GrootCore
import NIOCore

// What streams ask of their connection.
extension HTTP2Connection {
    func submitResponse(_ stream: HTTP2Stream, _ headers: HTTP2Headers, endStream: Bool) {
        do throws(HTTP2Error) {
            try session?.submitResponse(stream: stream.id, headers, endStream: endStream)
        } catch {
            session?.submitReset(stream: stream.id, .internalError)
        }
        scheduleFlush()
    }

    /// Notes body bytes that a stream has queued; false when a limit forbids them.
    func queued(_ byteCount: Int, by stream: HTTP2Stream) -> Bool {
        // What clients send is bounded by whoever holds the request.
        guard role == .server else { return true }
        let exceeded: HTTP2Limit? =
            if queuedBytes + byteCount > limits.maxQueuedBytes {
                .queuedBytesOfConnection
            } else if quota?.take(byteCount) == false {
                .queuedBytesInAll
            } else {
                nil
            }
        if let exceeded {
            hit(exceeded, "stream \(stream.id) is reset: the peer does not take its answers")
            return false
        }
        queuedBytes += byteCount
        return true
    }

    /// Body bytes left a stream's queue, sent or dropped.
    func unqueued(_ byteCount: Int) {
        guard role == .server else { return }
        queuedBytes -= byteCount
        quota?.give(back: byteCount)
    }

    func submitReset(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode) {
        session?.submitReset(stream: stream.id, code)
        scheduleFlush()
    }

    func consumed(_ stream: HTTP2Stream, _ byteCount: Int) {
        session?.consumeStream(stream.id, byteCount)
        scheduleFlush()
    }

    func resumeData(_ stream: HTTP2Stream) {
        session?.resumeData(stream: stream.id)
        scheduleFlush()
    }
}

/// What the library reports, on the way to the streams.
extension HTTP2Connection: SessionEvents {
    func headersReceived(stream id: Int32, _ headers: HTTP2Headers) {
        headersBeganAt = nil
        if let stream = streams[id] {
            if role == .client, !stream.receivedFinalHeaders {
                // 1xx responses announce the real one.
                if let status = headers[":status"], status.hasPrefix("1") { return }
                stream.receivedHeaders()
                stream.handler?.received(headers: headers)
            } else {
                stream.handler?.received(trailers: headers)
            }
            return
        }
        guard role == .server else { return }
        let stream = HTTP2Stream(id: id, connection: self)
        stream.receivedHeaders()
        guard let handler = observer.streamOpened?(stream) else {
            session?.submitReset(stream: id, .refusedStream)
            return
        }
        streams[id] = stream
        stream.handler = handler
        watch()
        handler.received(headers: headers)
    }

    func headersBegan() {
        headersBeganAt = .now()
    }

    func headersRefused(stream id: Int32) {
        headersBeganAt = nil
        let limit = "\(limits.maxHeaderFields) fields and \(limits.maxHeaderListSize) bytes"
        hit(.headerList, "stream \(id) is refused: its header list exceeds \(limit)")
        guard role == .server, streams[id] == nil else {
            session?.submitReset(stream: id, .enhanceYourCalm)
            return
        }
        // RESOURCE_EXHAUSTED for gRPC, 431 for everything else.
        let answer = HTTP2Headers([
            (":status", "431"), ("content-type", "application/grpc"), ("grpc-status", "8"),
            ("grpc-message", "the header list exceeds \(limit)"),
        ])
        do throws(HTTP2Error) {
            try session?.submitResponse(stream: id, answer, endStream: true)
        } catch {
            session?.submitReset(stream: id, .enhanceYourCalm)
        }
        // Only once the answer is out: a reset would overtake it.
        refusedStreams.insert(id)
    }

    func bodyReceived(stream id: Int32, _ body: ByteBuffer) {
        session?.consumeConnection(body.readableBytes)
        guard let stream = streams[id] else { return }
        stream.activity &+= 1
        stream.handler?.received(body: body)
    }

    func endReceived(stream id: Int32) {
        refusedStreams.remove(id)
        streams[id]?.peerEnded()
    }

    func streamClosed(stream id: Int32, code: HTTP2ErrorCode) {
        refusedStreams.remove(id)
        guard let stream = streams.removeValue(forKey: id) else { return }
        let cause: HTTP2StreamClosure.Cause =
            if resetByPeer.remove(id) != nil {
                code == .refusedStream ? .neverProcessed : .reset
            } else if role == .client, id > lastStreamOfPeer {
                .neverProcessed
            } else if code != .noError, !stream.wasReset {
                .reset
            } else {
                .ended
            }
        stream.close(HTTP2StreamClosure(cause: cause, code: code))
        if streams.isEmpty { idleSince = .now() }
    }

    func requestNotSent(stream id: Int32) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        stream.close(HTTP2StreamClosure(cause: .neverProcessed, code: .refusedStream))
    }

    func frameReceived(_ kind: NGHTTP2Session.FrameKind) {
        switch kind {
        case .settings(let isAck):
            if !isAck {
                observe(.settings)
                if !hasSettings {
                    hasSettings = true
                    observer.ready?()
                }
            }
        case .ping(let isAck):
            if isAck { drainFinished?() } else { pinged() }
        case .goAway(let last, let code):
            lastStreamOfPeer = last
            isDraining = true
            if code != .noError { closeReason = "the peer sent GOAWAY with \(code)" }
            observer.goAway?()
        case .reset(let stream):
            if streams[stream] != nil { resetByPeer.insert(stream) }
            observe(.reset)
        case .refusedRequest:
            if role == .server, streams.count >= limits.maxConcurrentStreams {
                hit(.concurrentStreams, "a stream is refused: \(streams.count) are open")
            }
        case .emptyData: observe(.emptyFrame)
        case .unknown: observe(.unknownFrame)
        case .priority: observe(.priority)
        case .windowUpdate: observe(.windowUpdate)
        case .data, .headers, .endOfStream: break
        }
    }

    func frameSent(_ kind: NGHTTP2Session.FrameKind) {
        switch kind {
        case .data:
            floods.sentData()
            pings.sent()
        case .headers: pings.sent()
        case .reset(let id):
            // The library reset it for the peer's fault.
            if role == .server, streams[id]?.wasReset != true { observe(.reset) }
        case .endOfStream(let id):
            // The answer is complete before the question: tell the peer to stop sending.
            let asksOn = streams[id].map { !$0.remoteEnded } ?? (refusedStreams.remove(id) != nil)
            if role == .server, asksOn { session?.submitReset(stream: id, .noError) }
        default: break
        }
    }

    func nextBody(stream id: Int32, limit: Int) -> HTTP2Stream.NextBody {
        streams[id]?.nextBody(limit: limit) ?? .wait
    }

    func send(bytes: UnsafeRawBufferPointer) {
        unsafe output.append(bytes)
    }

    func sendBody(stream id: Int32, frameHeader: UnsafeRawBufferPointer, byteCount: Int) {
        unsafe output.append(frameHeader)
        guard let stream = streams[id] else { return }
        stream.takeBody(byteCount) { output.append($0, inlineSize: limits.inlineBodySize) }
        stream.handler?.bodyLeft(byteCount: byteCount)
    }
}
