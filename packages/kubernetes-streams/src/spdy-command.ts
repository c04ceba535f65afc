import type { Duplex } from 'node:stream'
import { StreamProtocolError } from './errors.js'
import {
  decodeResize, decodeStatus, encodeResize, encodeStatus, maxResizeBytes, maxStatusBytes, type RemoteCommandClient, type RemoteCommandClientHandlers, type RemoteCommandServer,
  type RemoteCommandServerHandlers, type RemoteStatus, type RemoteStreams,
} from './remote-command.js'
import { SpdySession, type SpdyStream } from './spdy/session.js'

/** The only version of the remote command protocol over SPDY that still is in use. */
export const spdyCommandProtocol = 'v4.channel.k8s.io'
const streamsMilliseconds = 30_000
/** Names of the streams in the header `streamtype` (k8s.io/api/core/v1). */
type StreamType = 'error' | 'stdin' | 'stdout' | 'stderr' | 'resize'

function expected({ stdin, stdout, stderr, tty }: RemoteStreams): StreamType[] {
  return ['error', ...(stdin ? ['stdin' as const] : []), ...(stdout ? ['stdout' as const] : []), ...(stderr && !tty ? ['stderr' as const] : []), ...(tty ? ['resize' as const] : [])]
}

/** Serves a remote command over SPDY; ready once the client has opened its streams. */
export function serveSpdyCommand(duplex: Duplex, streams: RemoteStreams, handlers: RemoteCommandServerHandlers): RemoteCommandServer {
  const wanted = new Set<string>(expected(streams))
  const open = new Map<string, SpdyStream>()
  const early: { name: 'stdout' | 'stderr'; bytes: Buffer }[] = []
  let finished: RemoteStatus | undefined
  let opened: () => void = () => undefined
  const allOpen = new Promise<void>((resolve) => {
    opened = resolve
  })
  const session = new SpdySession(duplex, {
    role: 'server',
    maxStreams: 8,
    onStream: (stream) => {
      const type = stream.headers['streamtype'] ?? ''
      if (!wanted.has(type) || open.has(type)) throw new StreamProtocolError('the client opens a stream that was not announced')
      open.set(type, stream)
      attach(type, stream)
    },
    onClose: (error) => {
      clearTimeout(timer)
      opened()
      handlers.onClose(finished === undefined ? error : undefined)
    },
  })
  const timer = setTimeout(() => {
    if (open.size < wanted.size) session.destroy(new StreamProtocolError('the client did not open its streams in time'))
  }, streamsMilliseconds)
  const attach = (type: string, stream: SpdyStream): void => {
    if (type === 'stdin') {
      stream.on('data', (bytes: Buffer) => handlers.onInput(bytes))
      stream.once('end', () => handlers.onInputEnd())
    } else if (type === 'resize') onLines(stream, (line) => {
      const size = decodeResize(line)
      if (size !== undefined) handlers.onResize(size)
    })
    else stream.resume()
    if (open.size < wanted.size) return
    opened()
    for (const piece of early.splice(0)) open.get(piece.name)?.write(piece.bytes)
    if (finished !== undefined) finish(finished)
  }
  const finish = (status: RemoteStatus): void => {
    for (const type of ['stdout', 'stderr'] as const) open.get(type)?.end()
    open.get('error')?.end(encodeStatus(status), () => session.close())
  }
  return {
    write: (name, bytes) => {
      if (open.size === wanted.size) return open.get(name)?.write(bytes) ?? true
      // The client opens its streams one after the other; until then output waits.
      if (wanted.has(name)) early.push({ name, bytes })
      return early.length < 16
    },
    drained: () => allOpen.then(() => session.drained()),
    pauseInput: () => open.get('stdin')?.pause(),
    resumeInput: () => open.get('stdin')?.resume(),
    finish: (status) => {
      finished = status
      if (open.size === wanted.size) finish(status)
    },
    destroy: () => session.destroy(),
  }
}

/** Drives a remote command over SPDY. */
export function driveSpdyCommand(duplex: Duplex, streams: RemoteStreams, handlers: RemoteCommandClientHandlers): RemoteCommandClient {
  const session = new SpdySession(duplex, { role: 'client', maxStreams: 0, onStream: () => undefined, onClose: (error) => handlers.onClose(error) })
  const open = new Map<StreamType, SpdyStream>()
  for (const type of expected(streams)) open.set(type, session.open({ streamtype: type }))
  for (const name of ['stdout', 'stderr'] as const) {
    const stream = open.get(name)
    stream?.on('data', (bytes: Buffer) => handlers.onOutput(name, bytes))
    // Nothing is written there.
    stream?.end()
  }
  const error = open.get('error')
  const status: Buffer[] = []
  let statusBytes = 0
  error?.on('data', (bytes: Buffer) => {
    statusBytes += bytes.length
    if (statusBytes <= maxStatusBytes) status.push(bytes)
  })
  error?.end()
  /** The status may overtake output on another stream. */
  const outputsEnded = Promise.all((['stdout', 'stderr'] as const).map((name) => ended(open.get(name))))
  error?.once('end', () => {
    void outputsEnded.then(() => {
      if (status.length > 0) handlers.onStatus(decodeStatus(Buffer.concat(status)))
      session.close()
    })
  })
  const input = open.get('stdin')
  return {
    write: (bytes) => input?.write(bytes) ?? true,
    drained: () => session.drained(),
    endInput: () => void input?.end(),
    resize: (size) => void open.get('resize')?.write(encodeResize(size)),
    pauseOutput: () => {
      open.get('stdout')?.pause()
      open.get('stderr')?.pause()
    },
    resumeOutput: () => {
      open.get('stdout')?.resume()
      open.get('stderr')?.resume()
    },
    destroy: () => session.destroy(),
  }
}

function ended(stream: SpdyStream | undefined): Promise<void> {
  if (stream === undefined || stream.readableEnded || stream.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    stream.once('end', resolve)
    stream.once('close', resolve)
  })
}

/** Terminal sizes come as JSON, one after the other. */
function onLines(stream: SpdyStream, onLine: (line: Buffer) => void): void {
  let rest = Buffer.alloc(0)
  stream.on('data', (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes])
    for (let end = rest.indexOf(0x7d); end >= 0; end = rest.indexOf(0x7d)) {
      onLine(rest.subarray(0, end + 1))
      rest = rest.subarray(end + 1)
    }
    if (rest.length > maxResizeBytes) stream.destroy()
  })
}
