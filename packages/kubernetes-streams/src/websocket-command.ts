import type { Duplex } from 'node:stream'
import { StreamProtocolError } from './errors.js'
import {
  decodeResize, decodeStatus, encodeResize, encodeStatus, maxResizeBytes, maxStatusBytes, type RemoteCommandClient, type RemoteCommandClientHandlers, type RemoteCommandServer,
  type RemoteCommandServerHandlers, type RemoteStreams, type TerminalSize,
} from './remote-command.js'
import { WebSocketConnection } from './websocket/connection.js'

/** Channel numbers (k8s.io/apimachinery, remotecommand). */
const channels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const

export type WebSocketCommandProtocol = 'v5.channel.k8s.io' | 'v4.channel.k8s.io'
/** In the order of preference. */
export const webSocketCommandProtocols: readonly WebSocketCommandProtocol[] = ['v5.channel.k8s.io', 'v4.channel.k8s.io']

/** A message's channel, and its bytes as they come. */
class ChannelReader {
  #channel = -1
  #gathered: Buffer[] = []
  #gatheredBytes = 0

  constructor(
    private readonly onData: (channel: number, bytes: Buffer) => void,
    /** Whole messages of channels that aren't streams. */
    private readonly onWhole: (channel: number, bytes: Buffer) => void,
    private readonly streams: ReadonlySet<number>,
  ) {}

  take(bytes: Buffer, first: boolean, last: boolean): void {
    let rest = bytes
    if (first) this.#channel = -1
    if (this.#channel < 0) {
      if (rest.length === 0) {
        if (last) throw new StreamProtocolError('a message names no channel')
        return
      }
      this.#channel = rest[0] ?? 0
      rest = rest.subarray(1)
    }
    if (this.streams.has(this.#channel)) {
      if (rest.length > 0) this.onData(this.#channel, rest)
      return
    }
    this.#gatheredBytes += rest.length
    if (this.#gatheredBytes > maxStatusBytes) throw new StreamProtocolError('a message is too long')
    this.#gathered.push(rest)
    if (!last) return
    const whole = Buffer.concat(this.#gathered)
    this.#gathered = []
    this.#gatheredBytes = 0
    this.onWhole(this.#channel, whole)
  }
}

/** Serves a remote command over a WebSocket whose handshake is done. */
export function serveWebSocketCommand(duplex: Duplex, protocol: WebSocketCommandProtocol, streams: RemoteStreams, handlers: RemoteCommandServerHandlers): RemoteCommandServer {
  let inputOver = !streams.stdin
  const reader = new ChannelReader(
    (channel, bytes) => {
      if (channel !== channels.stdin || inputOver) throw new StreamProtocolError('data on a channel that is not open')
      handlers.onInput(bytes)
    },
    (channel, bytes) => {
      if (channel === channels.resize && streams.tty && bytes.length <= maxResizeBytes) {
        const size = decodeResize(bytes)
        if (size === undefined) throw new StreamProtocolError('a terminal size can not be read')
        handlers.onResize(size)
      } else if (channel === channels.close && protocol === 'v5.channel.k8s.io' && bytes.length === 1) {
        if (bytes[0] !== channels.stdin) throw new StreamProtocolError('a channel is closed that the client may not close')
        if (inputOver) return
        inputOver = true
        handlers.onInputEnd()
      } else if (bytes.length > 0) throw new StreamProtocolError('a message on an unknown channel')
    },
    new Set([channels.stdin]),
  )
  const socket = new WebSocketConnection(duplex, 'server', { onMessage: (bytes, first, last) => reader.take(bytes, first, last), onClose: (error) => handlers.onClose(error) })
  // Tells the client that it is connected, as the API server does.
  socket.send(Buffer.alloc(0), streams.stdout ? channels.stdout : streams.stderr ? channels.stderr : channels.error)
  return {
    write: (name, bytes) => socket.send(bytes, channels[name]),
    drained: () => socket.drained(),
    pauseInput: () => socket.pause(),
    resumeInput: () => socket.resume(),
    finish: (status) => {
      socket.send(encodeStatus(status), channels.error)
      socket.close()
    },
    destroy: () => socket.destroy(),
  }
}

/** Drives a remote command over a WebSocket whose handshake is done. */
export function driveWebSocketCommand(duplex: Duplex, protocol: WebSocketCommandProtocol, streams: RemoteStreams, handlers: RemoteCommandClientHandlers): RemoteCommandClient {
  const outputs = new Set<number>([...(streams.stdout ? [channels.stdout] : []), ...(streams.stderr ? [channels.stderr] : [])])
  const reader = new ChannelReader(
    (channel, bytes) => handlers.onOutput(channel === channels.stderr ? 'stderr' : 'stdout', bytes),
    (channel, bytes) => {
      if (channel === channels.error) {
        if (bytes.length > 0) handlers.onStatus(decodeStatus(bytes))
      } else if (channel !== channels.close && bytes.length > 0) throw new StreamProtocolError('a message on a channel that is not open')
    },
    outputs,
  )
  const socket = new WebSocketConnection(duplex, 'client', { onMessage: (bytes, first, last) => reader.take(bytes, first, last), onClose: (error) => handlers.onClose(error) })
  return {
    write: (bytes) => socket.send(bytes, channels.stdin),
    drained: () => socket.drained(),
    // Version 4 has no way to say so: what reads to the end of its input goes on reading, as with any client of that version.
    endInput: () => {
      if (protocol === 'v5.channel.k8s.io') socket.send(Buffer.from([channels.stdin]), channels.close)
    },
    resize: (size: TerminalSize) => void socket.send(encodeResize(size), channels.resize),
    pauseOutput: () => socket.pause(),
    resumeOutput: () => socket.resume(),
    destroy: () => socket.destroy(),
  }
}

