import type { ChannelError } from '@sallyport/kit'
import { tunnelService, type Frame, type FrameReceived } from '@sallyport/proto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { FrameMux, type TunnelChannel } from './index.js'

const window = 1_000
const { requestSerialize, requestDeserialize } = tunnelService.Connect

/** A wire of limited depth between two multiplexers, moved on by hand. */
class Wire {
  readonly #queue: Buffer[] = []
  readonly #depth: number
  readonly #to: () => FrameMux
  #full = false
  constructor(depth: number, to: () => FrameMux) {
    this.#depth = depth
    this.#to = to
  }
  write(batch: readonly Frame[]): boolean {
    expect(this.#full, 'wrote to a full stream').toBe(false)
    const data = batch.map((frame) => frame.data?.length ?? 0)
    expect(Math.max(0, ...data)).toBeLessThanOrEqual(65_536)
    this.#queue.push(requestSerialize({ frames: { frames: [...batch] } }))
    this.#full = this.#queue.length >= this.#depth
    return !this.#full
  }
  step(from: FrameMux): boolean {
    const next = this.#queue.shift()
    if (next === undefined) return false
    this.#to().receive(requestDeserialize(next).frames?.frames ?? [])
    if (this.#full) {
      this.#full = false
      from.drained()
    }
    return true
  }
}

class End {
  readonly sent: number[] = []
  readonly got: number[] = []
  held = 0
  ended = 0
  closes: (ChannelError | undefined)[] = []
  constructor(readonly channel: TunnelChannel) {
    channel.start({
      onData: (bytes) => {
        this.got.push(...bytes)
        this.held += bytes.length
        expect(this.held, 'more in the reader’s hands than its window').toBeLessThanOrEqual(window)
      },
      onEnd: () => (this.ended += 1),
      onClose: (error) => this.closes.push(error),
    })
  }
  consume(bytes: number): void {
    const taken = Math.min(bytes, this.held)
    this.held -= taken
    this.channel.consumed(taken)
  }
}

const step = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), channel: fc.nat(3), side: fc.boolean(), size: fc.integer({ min: 0, max: 2_500 }) }),
  fc.record({ kind: fc.constant('consume' as const), channel: fc.nat(3), side: fc.boolean(), size: fc.integer({ min: 1, max: 1_500 }) }),
  fc.record({ kind: fc.constant('move' as const), side: fc.boolean() }),
  fc.record({ kind: fc.constant('turn' as const) }),
)

it('loses, reorders and mixes up nothing, and never exceeds a window, whatever the interleaving', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 1, max: 3 }), (steps, depth) => {
      const turns: (() => void)[] = []
      const schedule = (flush: () => void) => void turns.push(flush)
      const there: End[] = []
      const down = new Wire(depth, () => agent)
      const up = new Wire(depth, () => gateway)
      const gateway = new FrameMux(down, { window, schedule })
      const agent = new FrameMux(up, { window, schedule, onOpen: (channel) => there.push(new End(channel)) })
      const move = (side: boolean): boolean => (side ? down.step(gateway) : up.step(agent))
      const turn = (): boolean => {
        const due = turns.splice(0)
        for (const flush of due) flush()
        return due.length > 0
      }
      const here = [1, 2, 3, 4].map(() => new End(gateway.open({ sessionId: 's', grant: 'g' })))
      for (let more = true; more; ) more = [turn(), move(true), move(false)].some(Boolean)
      const end = (side: boolean, channel: number): End | undefined => (side ? here : there)[channel]

      let counter = 0
      for (const action of steps) {
        if (action.kind === 'move') move(action.side)
        else if (action.kind === 'turn') turn()
        else if (action.kind === 'consume') end(action.side, action.channel)?.consume(action.size)
        else {
          const bytes = Uint8Array.from({ length: action.size }, () => (counter = (counter + 1) % 251))
          end(action.side, action.channel)?.sent.push(...bytes)
          end(action.side, action.channel)?.channel.write(bytes)
        }
      }
      for (const side of [here, there]) for (const { channel } of side) channel.end()
      for (let more = true; more; ) {
        more = [turn(), move(true), move(false)].some(Boolean)
        for (const one of [...here, ...there]) {
          if (one.held > 0) more = true
          one.consume(window)
        }
      }
      here.forEach((mine, index) => {
        const theirs = there[index]
        expect(theirs?.got).toEqual(mine.sent)
        expect(mine.got).toEqual(theirs?.sent)
        expect([mine.ended, theirs?.ended]).toEqual([1, 1])
        expect([mine.closes, theirs?.closes]).toEqual([[undefined], [undefined]])
      })
      expect([gateway.stats.channels, agent.stats.channels]).toEqual([0, 0])
    }),
    { numRuns: 150 },
  )
})

const anyFrame = fc.record({ channel: fc.nat(4) }).chain((base) =>
  fc.oneof(
    fc.uint8Array({ maxLength: 700 }).map((data): FrameReceived => ({ ...base, data: Buffer.from(data) })),
    fc.nat(2_000).map((credit): FrameReceived => ({ ...base, credit })),
    fc.constant<FrameReceived>({ ...base, end: true }),
    fc.constant<FrameReceived>({ ...base, close: { code: '', message: '', hint: '' } }),
    fc.constant<FrameReceived>({ ...base, open: { sessionId: 's', grant: 'g', parameters: {} } }),
    fc.constant<FrameReceived>({ ...base, signal: Buffer.from('x') }),
    fc.constant<FrameReceived>({ ...base }),
  ),
)

it('holds no more than a window per channel and never throws, whatever the peer sends', () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 200 }), fc.boolean(), (frames, agentSide) => {
      const ends: End[] = []
      const add = (channel: TunnelChannel): void => void ends.push(new End(channel))
      const mux: FrameMux = new FrameMux(
        { write: () => true },
        { window, schedule: (flush) => flush(), maxChannels: 3, ...(agentSide ? { onOpen: add } : {}) },
      )
      if (!agentSide) for (let i = 0; i < 3; i += 1) add(mux.open({ sessionId: 's', grant: 'g' }))
      for (const frame of frames) mux.receive([frame])
      mux.fail()
      expect(mux.stats.channels).toBe(0)
      for (const { closes } of ends) expect(closes.length).toBeLessThanOrEqual(1)
    }),
    { numRuns: 300 },
  )
})
