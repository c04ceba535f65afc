import type { Socket } from 'node:net'
import type { Client, Connection } from 'ssh2'

/** What a channel takes at least in one packet. RFC 4253 section 6.1 has everybody take 32768; real clients never go below 16384. */
const minPacketBytes = 1024
/** Answers that wait in the socket: who asks for more of them without reading any is not read either. */
const maxUnreadAnswers = 4 * 1024 * 1024

const channelOpen = 90
const channelOpenConfirmation = 91
const channelData = 94
const channelExtendedData = 95
/** The messages of RFC 4250 section 4.1 that there are, besides those of a key exchange (20 to 49), which ssh2 checks itself. */
const known = new Set([1, 2, 3, 4, 5, 6, 7, 20, 50, 51, 52, 53, 60, 61, 80, 81, 82, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100])

export interface TransportGuardHandlers {
  /** The other side broke the protocol; nothing more of it is processed. */
  violated(what: string): void
  /** A channel of a kind that ssh2 refuses by itself, for the record. */
  strangeChannel?(type: string, more: Buffer): void
}

/**
 * Looks at each packet of an SSH connection before ssh2 does, and closes what ssh2 leaves open: a channel whose packets
 * may hold nothing (ssh2 would send empty ones for ever), data beyond the window (kept in memory, however much),
 * messages that don't exist, and answers without bound for who doesn't read them. RFC 4253 section 11.4 would have the
 * unknown ones answered; here they end the connection, as no client sends them. Must be called before the key exchange.
 * @returns false where a later version of ssh2 has moved what is needed: the caller must close the connection
 */
export function guardTransport(connection: Connection | Client, socket: Socket, handlers: TransportGuardHandlers): boolean {
  const protocol = property(connection, '_protocol')
  const channels = property(connection, '_chanMgr')
  const next = property(protocol, '_onPayload')
  if (typeof protocol !== 'object' || protocol === null || typeof next !== 'function' || typeof property(channels, 'get') !== 'function') return false
  let broken = false
  const check = (payload: Buffer): string | undefined => {
    const type = payload[0] ?? 0
    if (!known.has(type)) return 'an unknown message'
    if (type === channelOpen) return checkOpen(payload, handlers)
    if (type === channelOpenConfirmation) return payload.length >= 17 && payload.readUInt32BE(13) < minPacketBytes ? 'a channel of impossible packets' : undefined
    if (type === channelData || type === channelExtendedData) return checkWindow(channels, payload, type === channelData ? 5 : 9)
    return undefined
  }
  const received = (payload: Uint8Array): unknown => {
    // What ssh2 has parsed already, in the same piece.
    if (broken) return Infinity
    const violation = payload.length === 0 ? undefined : check(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength))
    if (violation === undefined) return Reflect.apply(next, protocol, [payload])
    broken = true
    handlers.violated(violation)
    return Infinity
  }
  socket.on('data', () => {
    if (socket.writableLength <= maxUnreadAnswers || socket.isPaused()) return
    socket.pause()
    socket.once('drain', () => socket.resume())
  })
  return Reflect.set(protocol, '_onPayload', received)
}

/** RFC 4254 section 5.1. */
function checkOpen(payload: Buffer, handlers: TransportGuardHandlers): string | undefined {
  const length = payload.length < 5 ? Infinity : payload.readUInt32BE(1)
  const at = 5 + length
  if (at + 12 > payload.length) return 'a channel request that ends too early'
  if (payload.readUInt32BE(at + 8) < minPacketBytes) return 'a channel of impossible packets'
  const type = payload.toString('latin1', 5, at)
  if (type !== 'session' && type !== 'direct-tcpip' && type !== 'forwarded-tcpip') handlers.strangeChannel?.(type, payload.subarray(at + 12))
  return undefined
}

/** RFC 4254 section 5.2: nobody sends more than the window. */
function checkWindow(channels: unknown, payload: Buffer, at: number): string | undefined {
  if (payload.length < at + 4) return 'data that ends too early'
  const get = property(channels, 'get')
  const channel: unknown = typeof get === 'function' ? Reflect.apply(get, channels, [payload.readUInt32BE(1)]) : undefined
  const window = property(property(channel, 'incoming') ?? property(property(channel, '_chanInfo'), 'incoming'), 'window')
  return typeof window === 'number' && payload.readUInt32BE(at) > window ? 'more data than the window allows' : undefined
}

function property(of: unknown, name: string): unknown {
  return typeof of === 'object' && of !== null ? Reflect.get(of, name) : undefined
}
