import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { channelPair } from '../testing/channel-pair.js'
import { encodeFrame, FrameReader, frameType, WireError, type Frame } from './frames.js'
import { channelWindow, Wire, type WireChannel, type WireHandlers } from './wire.js'

const frame = fc.record({ type: fc.integer({ min: 0, max: 255 }), channel: fc.integer({ min: 0, max: 0xffff_ffff }), payload: fc.uint8Array({ maxLength: 300 }) })

/** Cuts a text of bytes at the given places. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((start, index) => bytes.subarray(start, at[index] ?? bytes.length))
}

const quiet: WireHandlers = { onOpen: () => undefined, onRequest: () => Promise.resolve(false), onClose: () => undefined, onBroken: () => undefined }

describe('frames', () => {
  test('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 20 }), (frames, cuts) => {
        const reader = new FrameReader()
        const out = pieces(Buffer.concat(frames.map(({ type, channel, payload }) => encodeFrame(type, channel, payload))), cuts).flatMap((piece) => reader.push(piece))
        expect(out.map(({ type, channel, payload }: Frame) => ({ type, channel, payload: new Uint8Array(payload) }))).toEqual(frames)
      }),
    )
  })

  test('of any bytes: frames or a WireError, and never more than came in', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), (chunks) => {
        const reader = new FrameReader()
        let bytes = 0
        try {
          for (const chunk of chunks) for (const { payload } of reader.push(Buffer.from(chunk))) bytes += payload.length + 9
        } catch (error) {
          expect(error).toBeInstanceOf(WireError)
        }
        expect(bytes).toBeLessThanOrEqual(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
      }),
    )
  })

  test.each([0, 1, 4, 512 * 1024 + 1, 0x7fff_ffff, 0xffff_ffff])('a length of %i is refused before anything is kept for it', (length) => {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(length)
    expect(() => new FrameReader().push(head)).toThrow(WireError)
  })
})

describe('a wire', () => {
  const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5))

  /** What a peer sends that needn't be a wire. */
  async function fed(side: 'front' | 'engine', bytes: Buffer): Promise<{ broken: number; closed: number }> {
    const [near, far] = channelPair()
    const seen = { broken: 0, closed: 0 }
    const wire = new Wire(near, side, { ...quiet, onBroken: () => (seen.broken += 1), onClose: () => (seen.closed += 1) })
    far.start({ onData: (data) => far.consumed(data.length), onEnd: () => undefined, onClose: () => undefined })
    wire.start()
    for (let at = 0; at < bytes.length; at += 1000) far.write(bytes.subarray(at, at + 1000))
    await settled()
    return seen
  }

  test('never throws at garbage, and closes at most once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('front', 'engine'), fc.array(frame, { minLength: 1, maxLength: 10 }), fc.array(fc.nat(11), { minLength: 10, maxLength: 10 }), async (side, frames, types) => {
        const bytes = Buffer.concat(frames.map(({ channel, payload }, index) => encodeFrame(types[index] ?? 0, channel % 5, payload)))
        const { broken, closed } = await fed(side, bytes)
        expect([broken <= 1, closed]).toEqual([true, broken])
      }),
      { numRuns: 60 },
    )
  })

  test.each([
    ['a channel number of ours', encodeFrame(frameType.open, 2, Buffer.from('{"kind":"session"}'))],
    ['channel 0', encodeFrame(frameType.open, 0, Buffer.from('{"kind":"session"}'))],
    ['a channel twice', Buffer.concat([1, 1].map((id) => encodeFrame(frameType.open, id, Buffer.from('{"kind":"session"}'))))],
    ['an unknown kind', encodeFrame(frameType.open, 1, Buffer.from('{"kind":"tun"}'))],
    ['a kind with more than it has', encodeFrame(frameType.open, 1, Buffer.from('{"kind":"session","login":"root"}'))],
    ['an address with an impossible port', encodeFrame(frameType.open, 1, Buffer.from('{"kind":"direct-tcpip","host":"h","port":65536,"originHost":"","originPort":0}'))],
    ['what is no JSON', encodeFrame(frameType.open, 1, Buffer.from('{'))],
    ['an unknown request', encodeFrame(frameType.request, 0, Buffer.concat([Buffer.alloc(4), Buffer.from('{"type":"eval"}')]))],
    ['a request that is too short', encodeFrame(frameType.request, 0, Buffer.alloc(3))],
  ])('%s ends it', async (_what, bytes) => {
    expect(await fed('engine', bytes)).toEqual({ broken: 1, closed: 1 })
  })

  test('more data than the window ends it', async () => {
    const open = encodeFrame(frameType.open, 1, Buffer.from('{"kind":"session"}'))
    const data = encodeFrame(frameType.data, 1, Buffer.alloc(32_768))
    expect((await fed('engine', Buffer.concat([open, ...Array<Buffer>(channelWindow / 32_768 - 1).fill(data)]))).broken).toBe(0)
    expect((await fed('engine', Buffer.concat([open, ...Array<Buffer>(channelWindow / 32_768 + 3).fill(data)]))).broken).toBe(1)
  })

  test('carries what is written on several channels, each in its order, whatever the pieces', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(2), fc.uint8Array({ minLength: 1, maxLength: 5000 })), { maxLength: 30 }), async (writes) => {
        const [near, far] = channelPair(20_000)
        const got = new Map<number, Buffer[]>()
        const engine = new Wire(far, 'engine', {
          ...quiet,
          onOpen: (channel) =>
            channel.accept({
              onData: (bytes) => {
                got.set(channel.id, [...(got.get(channel.id) ?? []), Buffer.from(bytes)])
                channel.consumed(bytes.length)
              },
              onEof: () => channel.close(),
              onRequest: (_request, reply) => reply(false),
              onClose: () => undefined,
            }),
        })
        const front = new Wire(near, 'front', quiet)
        engine.start()
        front.start()
        let open = 3
        const closed = new Promise<void>((resolve) => {
          const gone = (): void => {
            open -= 1
            if (open === 0) resolve()
          }
          const channels = [0, 1, 2].map(() => front.open({ kind: 'session' }, { onData: () => undefined, onEof: () => undefined, onRequest: () => undefined, onClose: gone }))
          for (const [index, bytes] of writes) channels[index]?.write(Buffer.from(bytes))
          for (const channel of channels) channel?.eof()
        })
        await closed
        for (const [index, id] of [1, 3, 5].entries()) {
          expect(Buffer.concat(got.get(id) ?? [])).toEqual(Buffer.concat(writes.flatMap(([to, bytes]) => (to === index ? [Buffer.from(bytes)] : []))))
        }
      }),
      { numRuns: 40 },
    )
  })

  test('what the other side would refuse is not sent: the request fails, and the wire goes on', async () => {
    const [near, far] = channelPair()
    let broken = 0
    const opened: WireChannel[] = []
    const engine = new Wire(far, 'engine', { ...quiet, onBroken: () => (broken += 1), onOpen: (channel) => void opened.push(channel) })
    const front = new Wire(near, 'front', quiet)
    engine.start()
    front.start()
    const handlers = { onData: () => undefined, onEof: () => undefined, onRequest: () => undefined, onClose: () => undefined }
    expect(front.open({ kind: 'direct-tcpip', host: 'h'.repeat(2000), port: 1, originHost: '', originPort: 0 }, handlers)).toBeUndefined()
    expect(await front.request({ type: 'tcpip-forward', host: '', port: 0xffff_ffff })).toBe(false)
    expect(await front.open({ kind: 'session' }, handlers)?.request({ type: 'exec', command: 'x'.repeat(70_000) })).toBe(false)
    await settled()
    expect([broken, opened.length]).toEqual([0, 1])
  })
})
