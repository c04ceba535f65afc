import type { ChannelError } from '@sallyport/kit'
import { tunnelService, type Frame, type FrameReceived } from '@sallyport/proto'
import { describe, expect, it } from 'vitest'
import { FrameMux, tunnelErrors, type FrameMuxOptions, type TunnelChannel } from './index.js'

const { requestSerialize, requestDeserialize } = tunnelService.Connect

/** Over the real codec, so that views, defaults and empty values are what they are in life. */
function overTheWire(batch: readonly Frame[]): readonly FrameReceived[] {
  return requestDeserialize(requestSerialize({ frames: { frames: [...batch] } })).frames?.frames ?? []
}

interface Seen {
  data: Buffer
  ended: boolean
  closed: (ChannelError | undefined)[]
}

function read(channel: TunnelChannel, consume = true): Seen {
  const seen: Seen = { data: Buffer.alloc(0), ended: false, closed: [] }
  channel.start({
    onData: (bytes) => {
      seen.data = Buffer.concat([seen.data, bytes])
      if (consume) channel.consumed(bytes.length)
    },
    onEnd: () => (seen.ended = true),
    onClose: (error) => seen.closed.push(error),
  })
  return seen
}

/** Two multiplexers joined back to back; batches travel when `settle` runs. */
function pair(options: FrameMuxOptions = {}) {
  const opened: TunnelChannel[] = []
  const batches: (readonly Frame[])[] = []
  const pending: (() => void)[] = []
  const schedule = (flush: () => void) => void pending.push(flush)
  const gateway: FrameMux = new FrameMux({ write: (batch) => deliver(() => agent, batch) }, { schedule, ...options })
  const agent: FrameMux = new FrameMux(
    { write: (batch) => deliver(() => gateway, batch) },
    { schedule, onOpen: (channel) => opened.push(channel), ...options },
  )
  function deliver(to: () => FrameMux, batch: readonly Frame[]): boolean {
    batches.push(batch)
    pending.push(() => to().receive(overTheWire(batch)))
    return true
  }
  const settle = async (): Promise<void> => {
    for (let quiet = 0; quiet < 3; ) {
      const next = pending.shift()
      if (next === undefined) quiet += 1
      else next()
      await Promise.resolve()
    }
  }
  const open = async (): Promise<[TunnelChannel, TunnelChannel]> => {
    const here = gateway.open({ sessionId: 's', grant: 'g', parameters: { database: 'd' } })
    await settle()
    const there = opened.at(-1)
    if (there === undefined) throw new Error('not opened')
    return [here, there]
  }
  return { gateway, agent, opened, batches, settle, open }
}

describe('a channel', () => {
  it('carries bytes both ways, half-closes, and ends once on each side', async () => {
    const { open, settle, gateway, agent } = pair()
    const [client, engine] = await open()
    const atClient = read(client)
    const atEngine = read(engine)
    client.write(Buffer.from('select '))
    client.write(Buffer.from('1'))
    client.end()
    await settle()
    expect(atEngine).toMatchObject({ data: Buffer.from('select 1'), ended: true, closed: [] })
    engine.write(Buffer.from('one'))
    engine.end()
    await settle()
    expect(atClient).toMatchObject({ data: Buffer.from('one'), ended: true, closed: [undefined] })
    expect(atEngine.closed).toEqual([undefined])
    expect([gateway.stats.channels, agent.stats.channels]).toEqual([0, 0])
  })

  it('keeps what arrives before its reader starts, and the close behind it', async () => {
    const { open, settle } = pair()
    const [client, engine] = await open()
    engine.write(Buffer.from('early'))
    engine.close({ code: 'X', message: 'm', hint: 'h' })
    await settle()
    expect(read(client).closed).toEqual([{ code: 'X', message: 'm', hint: 'h' }])
    const [second, secondEngine] = await open()
    secondEngine.write(Buffer.from('early'))
    secondEngine.close()
    await settle()
    expect(read(second)).toMatchObject({ data: Buffer.from('early'), closed: [undefined] })
  })

  it('delivers what was written before a normal close, also beyond the window', async () => {
    const { open, settle, agent } = pair({ window: 1000 })
    const [client, engine] = await open()
    const seen = read(client)
    engine.write(Buffer.alloc(5000, 7))
    engine.close()
    await settle()
    expect(seen.data.length).toBe(5000)
    expect(seen.closed).toEqual([undefined])
    expect(agent.stats.channels).toBe(0)
  })

  it('drops what waits when it is closed with an error, and tells the peer at once', async () => {
    const { open, settle } = pair({ window: 1000 })
    const [client, engine] = await open()
    const seen = read(client, false)
    engine.write(Buffer.alloc(5000, 7))
    await settle()
    engine.close({ code: 'SESSION_KILLED', message: 'killed', hint: '' })
    engine.close()
    await settle()
    expect(seen.data.length).toBe(1000)
    expect(seen.closed).toEqual([{ code: 'SESSION_KILLED', message: 'killed', hint: '' }])
  })

  it('gives up on a closed channel whose last bytes nobody takes', async () => {
    const { open, settle, agent } = pair({ window: 1000, lingerMilliseconds: 20 })
    const [client, engine] = await open()
    const seen = read(client, false)
    engine.write(Buffer.alloc(5000))
    engine.close()
    await settle()
    expect(agent.stats.channels).toBe(1)
    await new Promise((resolve) => setTimeout(resolve, 40))
    await settle()
    expect(agent.stats.channels).toBe(0)
    expect(seen.closed).toEqual([tunnelErrors.lingered])
  })

  it('sends nothing of a channel that was closed before its open went out', async () => {
    const { gateway, opened, settle } = pair()
    const channel = gateway.open({ sessionId: 's', grant: 'g' })
    const seen = read(channel)
    channel.write(Buffer.from('x'))
    channel.close()
    expect(seen.closed).toEqual([])
    await settle()
    expect(seen.closed).toEqual([undefined])
    expect(opened).toEqual([])
    expect(gateway.stats.channels).toBe(0)
  })

  it('stops its writer when the window is used up, and wakes it when the reader consumes', async () => {
    const { open, settle } = pair({ window: 1000 })
    const [client, engine] = await open()
    const seen = read(client, false)
    expect(engine.write(Buffer.alloc(999))).toBe(true)
    expect(engine.write(Buffer.alloc(1))).toBe(false)
    let woken = false
    void engine.writable().then(() => (woken = true))
    await settle()
    expect(seen.data.length).toBe(1000)
    client.consumed(499)
    await settle()
    expect(woken).toBe(false)
    client.consumed(1)
    await settle()
    expect(woken).toBe(true)
  })

  it('does not let a reader that counts twice widen the window', async () => {
    const { open, settle, batches } = pair({ window: 1000 })
    const [client, engine] = await open()
    read(client, false)
    engine.write(Buffer.alloc(600))
    await settle()
    client.consumed(600)
    client.consumed(600)
    await settle()
    client.consumed(600)
    await settle()
    expect(batches.flat().filter((frame) => frame.credit !== undefined).map((frame) => frame.credit)).toEqual([600])
  })

  it('lets a signal overtake bytes that wait for the window, and keeps it for a late handler', async () => {
    const { open, settle } = pair({ window: 10 })
    const [client, engine] = await open()
    client.write(Buffer.alloc(100))
    await settle()
    client.signal(Buffer.from('cancel'))
    await settle()
    const signals: string[] = []
    engine.onSignal((payload) => signals.push(payload.toString()))
    expect(signals).toEqual(['cancel'])
    client.signal(Buffer.from('again'))
    await settle()
    expect(signals).toEqual(['cancel', 'again'])
  })

  it('is ended alone when its reader throws', async () => {
    const errors: unknown[] = []
    const { open, settle } = pair({ onReaderError: (error) => errors.push(error) })
    const [client, engine] = await open()
    const [other, otherEngine] = await open()
    const seen = read(client)
    const seenOther = read(other)
    engine.start({
      onData: () => {
        throw new Error('bug')
      },
      onEnd: () => {},
      onClose: () => {},
    })
    read(otherEngine)
    client.write(Buffer.from('x'))
    otherEngine.write(Buffer.from('fine'))
    await settle()
    expect(errors).toHaveLength(1)
    expect(seen.closed).toEqual([tunnelErrors.readerFailed])
    expect(seenOther.data.toString()).toBe('fine')
  })
})

describe('the multiplexer', () => {
  it('joins a turn’s small writes into one frame and one batch for all channels', async () => {
    const { open, settle, batches } = pair()
    const [a] = await open()
    const [b] = await open()
    batches.length = 0
    for (let i = 0; i < 10; i += 1) {
      a.write(Buffer.from('a'))
      b.write(Buffer.from('b'))
    }
    await settle()
    expect(batches).toHaveLength(1)
    expect(batches[0]?.map((frame) => frame.data?.toString())).toEqual(['aaaaaaaaaa', 'bbbbbbbbbb'])
  })

  it('sends a small answer ahead of the rest of a bulk transfer, in frames of at most 64 KiB', async () => {
    const { open, settle, batches } = pair()
    const [bulk] = await open()
    const [small] = await open()
    batches.length = 0
    small.write(Buffer.from('answer'))
    bulk.write(Buffer.alloc(200_000))
    await settle()
    expect(batches[0]?.[0]?.data?.toString()).toBe('answer')
    for (const batch of batches) {
      const sizes = batch.map((frame) => frame.data?.length ?? 0)
      expect(Math.max(...sizes)).toBeLessThanOrEqual(65_536)
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(262_144)
    }
  })

  it('goes on with the others while one reader is slow', async () => {
    const { open, settle } = pair()
    const [slow, slowEngine] = await open()
    const [quick, quickEngine] = await open()
    const atSlow = read(slow, false)
    const atQuick = read(quick)
    slowEngine.write(Buffer.alloc(3_000_000))
    quickEngine.write(Buffer.alloc(3_000_000))
    await settle()
    expect(atQuick.data.length).toBe(3_000_000)
    expect(atSlow.data.length).toBe(256 * 1024)
  })

  it('stops at a full sink and goes on, in turn, when it drains', async () => {
    const sent: Frame[] = []
    let room = true
    const mux = new FrameMux(
      {
        write: (batch) => {
          sent.push(...batch)
          return room
        },
      },
      { schedule: (flush) => flush() },
    )
    room = false
    const one = mux.open({ sessionId: '1', grant: '' })
    const two = mux.open({ sessionId: '2', grant: '' })
    one.write(Buffer.alloc(100_000))
    two.write(Buffer.from('hello'))
    expect(sent).toHaveLength(1)
    room = true
    mux.drained()
    expect(sent.map((frame) => frame.channel)).toEqual([1, 2, 2, 1, 1])
    expect(sent.some((frame) => frame.data?.toString() === 'hello')).toBe(true)
  })

  it('ends every channel once with TUNNEL_LOST', async () => {
    const { open, gateway, settle } = pair()
    const seen = [read((await open())[0]), read((await open())[0])]
    gateway.fail()
    gateway.fail()
    expect(seen.map(({ closed }) => closed)).toEqual([[tunnelErrors.lost], [tunnelErrors.lost]])
    const late = read(gateway.open({ sessionId: 's', grant: 'g' }))
    await settle()
    expect(late.closed).toEqual([tunnelErrors.lost])
  })

  it('refuses more channels than it may serve', async () => {
    const { gateway, settle, opened } = pair({ maxChannels: 2 })
    gateway.open({ sessionId: '1', grant: '' })
    gateway.open({ sessionId: '2', grant: '' })
    expect(() => gateway.open({ sessionId: '3', grant: '' })).toThrow(RangeError)
    await settle()
    expect(opened).toHaveLength(2)
  })

  it('sends a huge grant in a batch of its own, and refuses one that could not be received', async () => {
    const { gateway, settle, batches } = pair()
    gateway.open({ sessionId: 'a', grant: 'x'.repeat(10) })
    gateway.open({ sessionId: 'b', grant: 'x'.repeat(1_000_000) })
    await settle()
    expect(batches.map((batch) => batch.length)).toEqual([1, 1])
    expect(() => gateway.open({ sessionId: 'c', grant: 'x'.repeat(3_000_000) })).toThrow(RangeError)
  })
})

describe('a peer that breaks the rules', () => {
  const frame = (fields: Partial<FrameReceived>): FrameReceived => ({ channel: 1, ...fields })

  async function victim() {
    const { open, gateway, settle, batches } = pair({ window: 100 })
    const [client] = await open()
    const [other] = await open()
    const seen = read(client, false)
    const bystander = read(other, false)
    return { gateway, settle, seen, bystander, batches }
  }

  it('loses the channel that it overran, and only that', async () => {
    const { gateway, settle, seen, bystander, batches } = await victim()
    gateway.receive([frame({ data: Buffer.alloc(60) }), frame({ data: Buffer.alloc(41) })])
    await settle()
    expect(seen.data.length).toBe(60)
    expect(seen.closed).toEqual([tunnelErrors.windowOverrun])
    expect(bystander.closed).toEqual([])
    expect(batches.flat().some((sent) => sent.channel === 1 && sent.close?.code === 'TUNNEL_WINDOW_OVERRUN')).toBe(true)
  })

  it.each([
    ['credit for bytes never sent', [frame({ credit: 1 })]],
    ['data after its end', [frame({ end: true }), frame({ data: Buffer.from('x') })]],
    ['an open of a channel that is open', [frame({ open: { sessionId: 's', grant: 'g', parameters: {} } })]],
  ])('loses the channel: %s', async (_name, frames) => {
    const { gateway, settle, seen, bystander } = await victim()
    gateway.receive(frames)
    await settle()
    expect(seen.closed).toEqual([tunnelErrors.protocol])
    expect(bystander.closed).toEqual([])
  })

  it('is not heard on channels that do not exist, nor with frames it may not send', async () => {
    const { gateway, seen, settle } = await victim()
    gateway.receive([
      frame({ channel: 99, data: Buffer.from('x') }),
      frame({ channel: 99, close: { code: '', message: '', hint: '' } }),
      frame({ channel: 98, open: { sessionId: 's', grant: 'g', parameters: {} } }),
      frame({ signal: Buffer.from('x') }),
      frame({}),
    ])
    await settle()
    expect(gateway.stats.framesIgnored).toBe(5)
    expect(seen.closed).toEqual([])
  })

  it('cannot fill memory with tiny frames before the reader starts', async () => {
    const { open, gateway, settle } = pair()
    const [client] = await open()
    for (let i = 0; i < 5_000; i += 1) gateway.receive([frame({ data: Buffer.from('x') })])
    await settle()
    expect(read(client)).toMatchObject({ data: Buffer.alloc(0), closed: [tunnelErrors.windowOverrun] })
    expect(gateway.stats.channels).toBe(0)
  })
})
