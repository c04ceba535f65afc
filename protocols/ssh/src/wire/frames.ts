/**
 * What front and engine say to each other inside one session's byte stream: SSH's connection protocol (RFC 4254) in a
 * framing of our own, because the SSH transport ends at the gateway and begins anew at the agent.
 *
 * Frame: length of what follows (u32), type (u8), channel (u32), payload. Channel 0 carries the connection's own
 * requests. The front opens odd channels, the engine even ones.
 */
export const frameType = {
  /** JSON {@link ChannelOpen}. */
  open: 1,
  opened: 2,
  /** UTF-8 reason. */
  openFailed: 3,
  data: 4,
  /** stderr. */
  extendedData: 5,
  /** u32: bytes that the receiver has passed on. */
  credit: 6,
  eof: 7,
  close: 8,
  /** u32 request number (0: no reply wanted), then JSON. */
  request: 9,
  /** u32 request number, u8 1 or 0. */
  reply: 10,
} as const

const headerBytes = 9
/** Largest piece of data in one frame. */
export const maxDataBytes = 32 * 1024
/** An exec command line of 64 KiB, escaped as JSON, still fits. */
const maxFrameBytes = 512 * 1024

/** The other side doesn't speak this protocol: the session ends. */
export class WireError extends Error {
  override readonly name = 'WireError'
}

export function encodeFrame(type: number, channel: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + payload.length)
  frame.writeUInt32BE(5 + payload.length, 0)
  frame[4] = type
  frame.writeUInt32BE(channel, 5)
  frame.set(payload, headerBytes)
  return frame
}

export interface Frame {
  readonly type: number
  readonly channel: number
  readonly payload: Buffer
}

/** Cuts a byte stream into frames, however it is split. */
export class FrameReader {
  #held: Buffer = Buffer.alloc(0)

  /** @throws {WireError} */
  push(bytes: Buffer): Frame[] {
    let input = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes])
    const frames: Frame[] = []
    while (input.length >= 4) {
      const length = input.readUInt32BE(0)
      if (length < 5 || length > maxFrameBytes) throw new WireError('a frame of an impossible length')
      if (input.length < 4 + length) break
      frames.push({ type: input[4] ?? 0, channel: input.readUInt32BE(5), payload: input.subarray(headerBytes, 4 + length) })
      input = input.subarray(4 + length)
    }
    // A copy, so that a few bytes don't keep a large buffer alive.
    this.#held = input.length === 0 ? input : Buffer.from(input)
    return frames
  }
}
