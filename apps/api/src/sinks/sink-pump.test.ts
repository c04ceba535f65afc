import { setTimeout as sleep } from 'node:timers/promises'
import { parseDocuments, type SinkSpec } from '@sallyport/policy'
import { DeliveryError, type Sender, type ShapedRecord } from '@sallyport/sinks'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { AuditRepository } from '../audit/audit.repository.js'
import { ChainWriter } from '../audit/chain-writer.js'
import { LeftoversRepository } from '../recordings/leftovers.repository.js'
import { RecordingKeysService } from '../recordings/recording-keys.service.js'
import { RecordingsConfig } from '../recordings/recordings.config.js'
import { RecordingPartsService } from '../recordings/recording-parts.service.js'
import type { PseudonymsService } from '../privacy/pseudonyms.service.js'
import { RecordingPartsRepository } from '../recordings/recording-parts.repository.js'
import { TreeRepository } from '../audit/tree.repository.js'
import type { ControlPlaneEventBody } from '../audit/events.js'
import { prepareControlEvent, timestamp } from '../audit/prepare.js'
import { documentContext } from '../documents/document-set.js'
import type { PrismaService } from '../database/prisma.service.js'
import { startPostgres, type TestPostgres } from '../testing/postgres.js'
import { SinkPump, type PumpReports } from './sink-pump.js'
import { SinksRepository } from './sinks.repository.js'

let postgres: TestPostgres
let repository: SinksRepository
let writer: ChainWriter
let running: SinkPump[] = []
let count = 0

beforeAll(async () => {
  postgres = await startPostgres()
  const prisma = postgres.prisma as PrismaService // decoder: the service is this client and nothing else
  const parts = new RecordingPartsRepository(prisma)
  const config = new RecordingsConfig({})
  const unchanged = { prefetch: () => Promise.resolve(), openBody: (body: string) => Promise.resolve(body) } as unknown as PseudonymsService // decoder: what the repository uses of it; there are no people in these events
  repository = new SinksRepository(prisma, new RecordingPartsService(parts, new RecordingKeysService(parts, config), config, new LeftoversRepository(prisma)), unchanged)
  writer = new ChainWriter(new AuditRepository(prisma), new TreeRepository(prisma), parts)
})
afterEach(async () => {
  await Promise.all(running.map((pump) => pump.stop()))
  running = []
})
afterAll(() => postgres.stop())

async function append(...events: readonly ControlPlaneEventBody[]): Promise<void> {
  await writer.submit({ events: events.map((event) => prepareControlEvent(event, undefined, timestamp())) })
}
const lost = (n: number): ControlPlaneEventBody[] => Array.from({ length: n }, (_, i) => ({ kind: 'session.lost', session: 's', reason: `r${i}` }))

function specOf(more: string): SinkSpec {
  const text = `apiVersion: sallyport.dev/v1\nkind: Sink\nmetadata: { name: x }\nspec: { stdout: {}, from: now, mask: { parameters: keep, results: keep }, alertAfter: 1s, ${more} }\n`
  const { documents, errors } = parseDocuments(text, 'x.yaml', documentContext)
  const [document] = documents
  if (document?.kind !== 'Sink') throw new Error(JSON.stringify(errors))
  return document.spec
}

interface Rig {
  readonly name: string
  readonly taken: string[]
  readonly reports: string[]
  /** What the receiver does with a batch; throws or returns positions that it refuses. */
  behave: (batch: readonly ShapedRecord[]) => Promise<readonly string[]>
  pump(owner?: string): SinkPump
}

async function rig(more = 'batch: { records: 10 }', spec = specOf(more)): Promise<Rig> {
  const name = `sink-${count++}`
  await repository.ensure(name, 'now')
  const taken: string[] = []
  const reports: string[] = []
  const told: PumpReports = {
    failing: async (code) => {
      reports.push(`failing ${code}`)
      await append({ kind: 'sink.failing', sink: name, code })
    },
    recovered: async () => {
      reports.push('recovered')
      await append({ kind: 'sink.recovered', sink: name })
    },
    firstDeadLetter: async ({ position }) => {
      reports.push('dead letter')
      await append({ kind: 'sink.dead_letter', sink: name, position: String(position) })
    },
    log: () => undefined,
  }
  const made: Rig = {
    name, taken, reports,
    behave: () => Promise.resolve([]),
    pump(owner = 'one') {
      const sender: Sender = {
        async send(batch, signal) {
          const refused = await Promise.race([made.behave(batch), new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(new DeliveryError('unavailable', 'TIMEOUT', 'late'))))])
          const rejected = batch.filter((record) => refused.includes(reasonOf(record)))
          taken.push(...batch.filter((record) => !rejected.includes(record)).map(reasonOf))
          return rejected.map((record) => ({ record, code: 'ITEM_400', reason: 'bad' }))
        },
        close: () => Promise.resolve(),
      }
      const pump = new SinkPump({ name, spec, owner, repository, keys: { statement: new Uint8Array(32), identity: new Uint8Array(32) }, open: () => Promise.resolve(sender), reports: told, idleMs: 20 })
      running.push(pump)
      return pump
    },
  }
  return made
}

const reasonOf = (record: ShapedRecord): string => {
  const body: { kind: string; event: { reason?: string } } = JSON.parse(record.json)
  return body.kind === 'session.lost' ? (body.event.reason ?? '') : body.kind
}
const expected = (n: number): string[] => Array.from({ length: n }, (_, i) => `r${i}`)
const down = (): Promise<never> => Promise.reject(new DeliveryError('unavailable', 'HTTP_503', 'down'))
const own = (all: readonly string[]): string[] => all.filter((one) => /^r\d+$/.test(one))
const wait = { timeout: 15_000, interval: 30 }

describe('the pump', () => {
  it('sends in order, in batches, and moves the cursor to the end', async () => {
    const r = await rig()
    await append(...lost(35))
    const sizes: number[] = []
    r.behave = (batch) => Promise.resolve((sizes.push(batch.length), []))
    r.pump()
    await expect.poll(() => r.taken.length, wait).toBe(35)
    expect(r.taken).toEqual(expected(35))
    expect(Math.max(...sizes)).toBe(10)
    await expect.poll(async () => repository.lag((await repository.state(r.name))?.position ?? 0n), wait).toMatchObject({ records: 0n, seconds: 0 })
  })

  it('bounds a batch by bytes; a larger event goes alone', async () => {
    const r = await rig('batch: { records: 100, bytes: 2KiB }')
    await append(...lost(3), { kind: 'session.lost', session: 's', reason: 'x'.repeat(5000) }, ...lost(3))
    const bytes: number[] = []
    r.behave = (batch) => Promise.resolve((bytes.push(batch.reduce((sum, record) => sum + record.json.length, 0)), []))
    r.pump()
    await expect.poll(() => r.taken.length, wait).toBe(7)
    expect(bytes.filter((size) => size > 3000)).toHaveLength(1)
  })

  it('loses nothing and repeats nothing while the receiver is down; tells it once, and that it is back', async () => {
    const r = await rig()
    await append(...lost(12))
    r.behave = down
    r.pump()
    await expect.poll(() => r.reports, wait).toEqual(['failing HTTP_503'])
    expect((await repository.state(r.name))?.lastError).toContain('HTTP_503')
    await sleep(2500)
    // The event of the failure waits in the chain like any other, and made no further one.
    expect(r.reports).toEqual(['failing HTTP_503'])
    r.behave = () => Promise.resolve([])
    await expect.poll(() => r.reports, wait).toEqual(['failing HTTP_503', 'recovered'])
    await expect.poll(() => r.taken, wait).toEqual([...expected(12), 'sink.failing', 'sink.recovered'])
    await sleep(300)
    expect(r.reports).toHaveLength(2)
  })

  it('files the records at fault and goes on; told once, and a refused event about sinks not at all', async () => {
    const r = await rig()
    await append(...lost(15))
    // Refuses by batch, as a 400 does; also what is told about it.
    r.behave = (batch) => (batch.some((record) => ['r3', 'r4', 'r14', 'sink.dead_letter'].includes(reasonOf(record))) ? Promise.reject(new DeliveryError('rejected', 'HTTP_400', 'no')) : Promise.resolve([]))
    r.pump()
    await expect.poll(() => r.taken.length, wait).toBe(12)
    await append({ kind: 'session.lost', session: 's', reason: 'r99' })
    await expect.poll(() => r.taken.at(-1), wait).toBe('r99')
    expect(own(r.taken)).toEqual([...expected(15).filter((one) => !['r3', 'r4', 'r14'].includes(one)), 'r99'])
    expect(r.reports).toEqual(['dead letter'])
    const letters = await repository.letters(r.name, 0n, 10)
    expect(letters.map(({ code, attempts }) => [code, attempts])).toEqual(Array.from({ length: 4 }, () => ['HTTP_400', 1]))

    // Still refused: tried, counted, kept. Then taken: gone.
    expect(await repository.askRetry(r.name, undefined)).toBe(4)
    await expect.poll(async () => (await repository.letters(r.name, 0n, 10)).map(({ attempts, retryAskedAt }) => [attempts, retryAskedAt]), wait).toEqual(Array.from({ length: 4 }, () => [2, null]))
    r.behave = () => Promise.resolve([])
    expect(await repository.askRetry(r.name, letters.slice(0, 2).map(({ position }) => position))).toBe(2)
    await expect.poll(() => r.taken.slice(-2), wait).toEqual(['r3', 'r4'])
    await expect.poll(() => repository.countLetters(r.name), wait).toBe(2)
  })

  it('gives nothing up to a receiver that refuses everything', async () => {
    const r = await rig()
    await append(...lost(5))
    r.behave = () => Promise.reject(new DeliveryError('rejected', 'HTTP_400', 'no'))
    r.pump()
    await expect.poll(async () => (await repository.state(r.name))?.failures ?? 0, wait).toBeGreaterThanOrEqual(2)
    expect(await repository.countLetters(r.name)).toBe(0)
    expect(r.taken).toEqual([])
    r.behave = () => Promise.resolve([])
    await expect.poll(() => own(r.taken), wait).toEqual(expected(5))
  })

  it('proves by a later event that one refused alone is to blame', async () => {
    const r = await rig('batch: { records: 1 }')
    await append(...lost(3))
    r.behave = (batch) => Promise.resolve(batch.map(reasonOf).filter((reason) => reason === 'r0'))
    r.pump()
    await expect.poll(() => own(r.taken), wait).toEqual(['r1', 'r2'])
    expect(await repository.countLetters(r.name)).toBe(1)
  })

  it('cut in mid-batch and killed before the cursor moved: the batch comes again, nothing is lost', async () => {
    const r = await rig()
    await append(...lost(25))
    let calls = 0
    r.behave = async (batch) => {
      calls++
      if (calls !== 2) return []
      // The receiver has it, its answer is lost, and this process dies: nobody gives the lease back in time.
      r.taken.push(...batch.map(reasonOf))
      await postgres.prisma.$executeRaw`UPDATE sink_state SET owner = 'dead', owned_until = now() + interval '1 second' WHERE name = ${r.name}`
      throw new DeliveryError('unavailable', 'ECONNRESET', 'cut')
    }
    r.pump('first')
    await expect.poll(() => calls, wait).toBe(2)
    r.pump('second')
    await expect.poll(() => new Set(r.taken).size, wait).toBe(25)
    expect(r.taken.filter((one, i) => r.taken.indexOf(one) === i)).toEqual(expected(25))
    expect(r.taken.length).toBe(35)
  })

  it('is pumped by one of two control planes; the other goes on when it stops', async () => {
    const r = await rig()
    await append(...lost(60))
    let active = 0
    let most = 0
    r.behave = async () => {
      most = Math.max(most, ++active)
      await sleep(20)
      active--
      return []
    }
    const [first] = [r.pump('first'), r.pump('second')]
    await expect.poll(() => r.taken.length, wait).toBeGreaterThan(15)
    await first.stop()
    running = running.filter((pump) => pump !== first)
    await expect.poll(() => r.taken.length, wait).toBe(60)
    expect(r.taken).toEqual(expected(60))
    expect(most).toBe(1)
  })

  it('a receiver that hangs holds its own sink only', async () => {
    const [slow, quick] = [await rig('batch: { records: 10 }, timeout: 1s'), await rig()]
    await append(...lost(10))
    slow.behave = () => new Promise(() => undefined)
    slow.pump()
    quick.pump()
    await expect.poll(() => quick.taken.length, wait).toBe(10)
    await expect.poll(async () => (await repository.state(slow.name))?.lastError ?? '', wait).toContain('TIMEOUT')
  })

  it('stops within seconds while a receiver hangs, and leaves the sink to the next one', async () => {
    const r = await rig()
    await append(...lost(4))
    r.behave = () => new Promise(() => undefined)
    const pump = r.pump('first')
    await sleep(200)
    const before = Date.now()
    await pump.stop()
    expect(Date.now() - before).toBeLessThan(7000)
    r.behave = () => Promise.resolve([])
    r.pump('second')
    await expect.poll(() => r.taken, { ...wait, timeout: 3000 }).toEqual(expected(4))
  })

  it('sends the kinds that are asked for, and passes over the others without sending', async () => {
    const r = await rig('kinds: [sink, session.killed]')
    await append(...lost(30), { kind: 'session.killed', session: 's', by: 'ada', reason: 'x' }, { kind: 'sink.recovered', sink: 'other' })
    r.pump()
    await expect.poll(() => r.taken, wait).toEqual(['session.killed', 'sink.recovered'])
  })

  it('files a stored text that is no event any more', async () => {
    const r = await rig()
    await append(...lost(3))
    await postgres.prisma.$executeRaw`UPDATE event SET body = 'broken' WHERE "position" = (SELECT max("position") - 1 FROM event)`
    r.pump()
    await expect.poll(() => own(r.taken), wait).toEqual(['r0', 'r2'])
    expect((await repository.letters(r.name, 0n, 10)).map(({ code }) => code)).toEqual(['NOT_AN_EVENT'])
  })

  it('waits for a batch to fill, as long as it may', async () => {
    const r = await rig('batch: { records: 5, wait: 2s }')
    await append(...lost(3))
    r.pump()
    await sleep(700)
    expect(r.taken).toEqual([])
    await expect.poll(() => r.taken, wait).toEqual(expected(3))
  })
})
