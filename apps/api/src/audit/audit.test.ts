import { chainHash } from '@sallyport/audit-log'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { commandRecord, makeAgent, makeSession, record } from '../testing/fixtures.js'
import { startApp, type TestApp } from '../testing/app.js'
import { EventsService } from './events.service.js'
import { CheckpointsService } from './checkpoints.service.js'

describe('audit', () => {
  let t: TestApp
  let events: EventsService
  beforeAll(async () => {
    t = await startApp()
    events = t.app.get(EventsService, { strict: false })
  })
  afterAll(async () => {
    await t?.stop()
  })

  const verify = async (): Promise<any> => (await t.call('GET', '/v1/audit/verify')).body

  describe('ingest', () => {
    it('is idempotent, refuses gaps, and survives overlapping batches', async () => {
      const agent = await makeAgent(t.postgres.prisma)
      const { id } = await makeSession(t.postgres.prisma, agent)
      const records = [1, 2, 3, 4, 5].map((seq) => commandRecord(seq, id))
      expect(await events.ingest(agent, 1n, records.slice(0, 3))).toBe(3n)
      expect(await events.ingest(agent, 1n, records.slice(0, 3))).toBe(3n)
      expect(await events.ingest(agent, 5n, records.slice(4))).toBe(3n)
      expect(await events.ingest(agent, 2n, records.slice(1))).toBe(5n)
      expect(await events.ingest(agent, 1n, [])).toBe(5n)
      expect(await t.postgres.prisma.event.count({ where: { source: `agent:${agent}` } })).toBe(5)
      expect(await verify()).toMatchObject({ ok: true })
    })

    it('stores each record once when the same batch arrives many times at once', async () => {
      const agent = await makeAgent(t.postgres.prisma)
      const { id } = await makeSession(t.postgres.prisma, agent)
      const batch = Array.from({ length: 50 }, (_, i) => commandRecord(i + 1, id))
      const acks = await Promise.all(Array.from({ length: 8 }, () => events.ingest(agent, 1n, batch)))
      expect(acks).toEqual(Array.from({ length: 8 }, () => 50n))
      expect(await t.postgres.prisma.event.count({ where: { source: `agent:${agent}` } })).toBe(50)
    })

    it('ignores an unknown agent and keeps foreign or broken records as alerts, in their place', async () => {
      const [agent, other] = [await makeAgent(t.postgres.prisma), await makeAgent(t.postgres.prisma)]
      const { id } = await makeSession(t.postgres.prisma, other)
      expect(await events.ingest('019aaaaa-0000-7000-8000-000000000000', 1n, [commandRecord(1, id)])).toBe(0n)
      const bad = [
        commandRecord(1, id),
        Buffer.from('not json\n{"x":1}'),
        Buffer.from([0xff, 0xfe]),
        record(9, 'agent.start', { version: '1' }),
        record(5, 'unheard.of', {}),
        Buffer.from(record(6, 'agent.start', { version: '1' }).toString().replace('2026-01-02', '2026-02-30')),
        record(7, 'agent.start', { version: 'a\u0000b\ud800' }),
      ]
      expect(await events.ingest(agent, 1n, bad)).toBe(7n)
      const rows = await t.postgres.prisma.event.findMany({ where: { source: `agent:${agent}` }, orderBy: { sourceSeq: 'asc' } })
      expect(rows.map((row) => row.kind)).toEqual(['alert', 'alert', 'alert', 'alert', 'alert', 'alert', 'agent.start'])
      expect(rows[0]).toMatchObject({ sessionId: null, identity: null })
      expect(JSON.parse(rows[0]?.body ?? '').event.code).toBe('FOREIGN_SESSION')
      expect(await verify()).toMatchObject({ ok: true })
    })

    it('takes hostile names into the index columns', async () => {
      const agent = await makeAgent(t.postgres.prisma)
      const { id } = await makeSession(t.postgres.prisma, agent)
      const effects = [{ action: 'sql.select', resource: 'x\u0000\ud800' + 'ü'.repeat(5000) }]
      const decision = { verdict: 'deny', rule: 'r', reason: '', hint: '' }
      expect(await events.ingest(agent, 1n, [record(1, 'command', { session: id, command: 1, text: '\u0000', effects, decision })])).toBe(1n)
      expect(await verify()).toMatchObject({ ok: true })
    })

    it('R keeps what an agent with a copied or restored spool says under numbers that are taken, and tells it', async () => {
      const agent = await makeAgent(t.postgres.prisma)
      const { id } = await makeSession(t.postgres.prisma, agent)
      await events.ingest(agent, 1n, [1, 2, 3].map((seq) => commandRecord(seq, id)))
      expect(await events.ingest(agent, 2n, [commandRecord(2, id), commandRecord(3, id, 'DROP TABLE hidden')])).toBe(3n)
      // Behind what is stored: it is told how far the record really goes, and runs nothing from then on.
      expect(await events.ingest(agent, 1n, [commandRecord(1, id, 'DELETE FROM hidden')])).toBe(3n)
      const { items } = (await t.call('GET', '/v1/events?kind=alert&text=SPOOL_FORKED')).body
      expect(items).toHaveLength(2)
      expect(JSON.stringify(items)).toMatch(/DELETE FROM hidden.*DROP TABLE hidden/)
      expect(await events.ingest(agent, 4n, [commandRecord(4, id)])).toBe(4n)
      expect(await verify()).toMatchObject({ ok: true })
    })

    it('closes the session with its end record', async () => {
      const agent = await makeAgent(t.postgres.prisma)
      const { id } = await makeSession(t.postgres.prisma, agent)
      await events.ingest(agent, 1n, [record(1, 'session.end', { session: id, reason: 'client_closed', commands: 7 })])
      expect(await t.postgres.prisma.session.findUnique({ where: { id } })).toMatchObject({ commands: 7, endReason: 'client_closed' })
    })

    it('keeps the reason that came first: the session\'s own when it was over before the kill reached it, else the kill\'s', async () => {
      const agent = await makeAgent(t.postgres.prisma)
      const killed = { killedAt: new Date(), endReason: 'the credential was revoked' }
      let seq = 0
      for (const [told, kept] of [
        ['client_closed', 'client_closed'],
        ['target_closed', 'target_closed'],
        ['killed', killed.endReason],
        ['connection_lost', killed.endReason],
        ['lease_expired', killed.endReason],
      ]) {
        const { id } = await makeSession(t.postgres.prisma, agent, killed)
        seq += 1
        await events.ingest(agent, BigInt(seq), [record(seq, 'session.end', { session: id, reason: told, commands: 1 })])
        expect(await t.postgres.prisma.session.findUnique({ where: { id } })).toMatchObject({ endReason: kept, endedAt: expect.any(Date) })
      }
    })
  })

  describe('search', () => {
    it('finds by who, target, action subtree, alias, object, decision, kind, time and text, in pages', async () => {
      const agent = await makeAgent(t.postgres.prisma)
      const { id } = await makeSession(t.postgres.prisma, agent, { identity: 'searcher', target: 'search-db' })
      await events.ingest(agent, 1n, [
        commandRecord(1, id, 'DROP TABLE orders', 'sql.ddl.drop'),
        commandRecord(2, id, 'DELETE FROM "We\\ird"', 'sql.delete'),
        commandRecord(3, id),
      ])
      const count = async (query: string): Promise<number> => (await t.call('GET', `/v1/events?who=searcher&${query}`)).body.items.length
      expect(await count('')).toBe(3)
      expect(await count('action=sql.ddl')).toBe(1)
      expect(await count('action=sql.write')).toBe(1)
      expect(await count('action=sql.dd')).toBe(0)
      expect(await count('object=public.orders')).toBe(3)
      expect(await count('object=public.*')).toBe(3)
      expect(await count('object=publi')).toBe(0)
      expect(await count('target=search-db&decision=allow&kind=command')).toBe(3)
      expect(await count('decision=deny')).toBe(0)
      expect(await count('since=2026-01-02T00:00:00Z&until=2026-01-03T00:00:00Z')).toBe(3)
      expect(await count('since=2026-01-03T00:00:00Z')).toBe(0)
      expect(await count('text=drop%20table')).toBe(1)
      expect(await count('text=%25_')).toBe(0)
      expect(await count(`text=${encodeURIComponent('"We\\ird"')}`)).toBe(1)
      const first = (await t.call('GET', '/v1/events?who=searcher&limit=2')).body
      const second = (await t.call('GET', `/v1/events?who=searcher&limit=2&cursor=${first.next}`)).body
      expect([...first.items, ...second.items].map((item: any) => item.command)).toEqual([3, 2, 1])
      expect(second.next).toBeUndefined()
      expect(first.items[0]).toMatchObject({ who: 'searcher', kind: 'command', claims: { repository: 'acme/shop' }, event: { text: 'SELECT * FROM orders' } })
      expect((await t.call('GET', '/v1/events?nonsense=1')).status).toBe(400)
    })
  })

  describe('search over months, by words, as a file', () => {
    it('finds what happened long before it was received, and stores it with the month in which it came', async () => {
      const agent = await makeAgent(t.postgres.prisma)
      const { id } = await makeSession(t.postgres.prisma, agent, { identity: 'late' })
      const now = new Date()
      const hour = (ago: number): string => new Date(now.getTime() - ago * 3_600_000).toISOString().replace('Z', '000Z')
      await events.ingest(agent, 1n, [commandRecord(1, id, undefined, undefined, hour(24 * 90)), commandRecord(2, id, undefined, undefined, hour(1))])
      const found = async (query: string): Promise<number[]> => (await t.call('GET', `/v1/events?who=late&${query}`)).body.items.map((item: any) => item.command)
      expect(await found(`until=${new Date(now.getTime() - 24 * 3_600_000).toISOString()}`)).toEqual([1])
      expect(await found(`since=${new Date(now.getTime() - 2 * 3_600_000).toISOString()}`)).toEqual([2])
      expect(await found(`until=${new Date(now.getTime() + 3_600_000).toISOString()}`)).toEqual([2, 1])
      expect(await found(`until=${new Date(now.getTime() + 3_600_000).toISOString()}&order=asc&limit=1`)).toEqual([1])
      const months = await t.postgres.prisma.$queryRaw<{ month: string }[]>`SELECT DISTINCT tableoid::regclass::text AS month FROM event`
      expect(months).toEqual([{ month: `event_${now.toISOString().slice(0, 7).replace('-', '_')}` }])
    })

    it('by words of the statement', async () => {
      const agent = await makeAgent(t.postgres.prisma)
      const { id } = await makeSession(t.postgres.prisma, agent, { identity: 'wordy' })
      const statements = ['DROP TABLE public.order_items', 'SELECT a FROM "Größen" WHERE note = \'drop the table\'', 'DELETE FROM customers', '']
      await events.ingest(agent, 1n, statements.map((text, index) => commandRecord(index + 1, id, text)))
      const found = async (statement: string): Promise<number[]> => (await t.call('GET', `/v1/events?who=wordy&order=asc&statement=${encodeURIComponent(statement)}`)).body.items.map((item: any) => item.command)
      expect(await found('drop table')).toEqual([1, 2])
      expect(await found('"drop table"')).toEqual([1])
      expect(await found('order_items')).toEqual([1])
      expect(await found('größen')).toEqual([2])
      expect(await found('cust*')).toEqual([3])
      expect(await found('drop -größen')).toEqual([1])
      expect(await found('delete OR größen')).toEqual([2, 3])
      expect(await found("');--")).toEqual([])
    })

    it('as JSON lines with an end, and as CSV that no spreadsheet computes; each is on record', async () => {
      const agent = await makeAgent(t.postgres.prisma)
      const { id } = await makeSession(t.postgres.prisma, agent, { identity: 'exported' })
      await events.ingest(agent, 1n, Array.from({ length: 2500 }, (_, index) => commandRecord(index + 1, id, '=cmd|"x"!A1, y')))
      const lines = String((await t.call('GET', '/v1/events/export?who=exported')).body).trimEnd().split('\n')
      expect(lines).toHaveLength(2501)
      expect(JSON.parse(lines[0] ?? '')).toMatchObject({ command: 2500, who: 'exported' })
      expect(JSON.parse(lines.at(-1) ?? '')).toEqual({ end: true, events: 2500 })
      const csv = String((await t.call('GET', '/v1/events/export?who=exported&format=csv')).body).trimEnd().split('\r\n')
      expect(csv).toHaveLength(2501)
      expect(csv[1]).toContain(`"'=cmd|""x""!A1, y"`)
      expect((await t.call('GET', '/v1/events?kind=audit.exported')).body.items).toHaveLength(2)
      expect((await t.call('GET', '/v1/events/export?who=exported&limit=3')).status).toBe(400)
    })

    it('saved searches are their owner\'s, or shared; saving is on record', async () => {
      const save = (name: string, body: object): Promise<{ status: number }> => t.call('PUT', `/v1/audit/searches/${name}`, { body })
      expect((await save('denied', { query: { decision: 'deny' }, shared: true })).status).toBe(204)
      expect((await save('denied', { query: { decision: 'deny', who: 'x' } })).status).toBe(204)
      expect((await save('a%2Fb', { query: {} })).status).toBe(400)
      expect((await save('b', { query: { cursor: '1' } })).status).toBe(400)
      expect((await t.call('GET', '/v1/audit/searches')).body.items).toMatchObject([{ owner: 'ada', name: 'denied', shared: false, query: { decision: 'deny', who: 'x' } }])
      expect((await t.call('DELETE', '/v1/audit/searches/denied')).status).toBe(204)
      expect((await t.call('DELETE', '/v1/audit/searches/denied')).status).toBe(404)
      expect((await t.call('GET', '/v1/events?kind=search')).body.items.map((item: any) => item.kind)).toEqual(['search.deleted', 'search.saved', 'search.saved'])
    })
  })

  describe('verify', () => {
    let middle: bigint
    beforeEach(async () => {
      const agent = await makeAgent(t.postgres.prisma)
      const { id } = await makeSession(t.postgres.prisma, agent)
      await events.ingest(agent, 1n, Array.from({ length: 20 }, (_, i) => commandRecord(i + 1, id)))
      const last = await t.postgres.prisma.event.findFirstOrThrow({ orderBy: { position: 'desc' } })
      middle = last.position - 10n
      expect(await verify()).toMatchObject({ ok: true })
    })

    /** Does something to the table, verifies, and puts everything back. */
    async function tamper(statements: string[], which = 0): Promise<{ position: string; problem: string } | undefined> {
      const db = t.postgres.prisma
      await db.$executeRawUnsafe('CREATE TABLE kept AS SELECT * FROM event')
      await db.$executeRawUnsafe('CREATE TABLE kept_head AS SELECT * FROM audit_head')
      try {
        for (const statement of statements) await db.$executeRawUnsafe(statement)
        return (await verify()).problems.at(which)
      } finally {
        await db.$executeRawUnsafe('DELETE FROM event')
        await db.$executeRawUnsafe('INSERT INTO event SELECT * FROM kept')
        await db.$executeRawUnsafe('UPDATE audit_head SET "position" = k."position", hash = k.hash FROM kept_head k')
        await db.$executeRawUnsafe('DROP TABLE kept')
        await db.$executeRawUnsafe('DROP TABLE kept_head')
        expect(await verify()).toMatchObject({ ok: true })
      }
    }

    it('names a changed body and a changed column', async () => {
      expect(await tamper([`UPDATE event SET body = replace(body, 'orders', 'others') WHERE position = ${middle}`])).toMatchObject({
        position: String(middle),
        problem: expect.stringMatching(/^changed: the hash/),
      })
      for (const change of [`identity = 'someone'`, `actions = '{}'`, `decision = 'deny'`, `"time" = "time" - interval '1 microsecond'`, 'session_id = NULL']) {
        const bad = await tamper([`UPDATE event SET ${change} WHERE position = ${middle}`])
        expect(bad, change).toMatchObject({ position: String(middle), problem: expect.stringMatching(/^changed: the column/) })
      }
    })

    it('names a missing record, at the beginning, in the middle, and one that was closed over', async () => {
      expect(await tamper([`DELETE FROM event WHERE position = ${middle}`])).toMatchObject({ position: String(middle), problem: expect.stringMatching(/^missing/) })
      expect(await tamper(['DELETE FROM event WHERE position <= 2'])).toMatchObject({ position: '1', problem: expect.stringMatching(/^missing: the records 1 to 2/) })
      const closed = await tamper([
        `DELETE FROM event WHERE position = ${middle}`,
        `UPDATE event SET position = -position WHERE position > ${middle}`,
        'UPDATE event SET position = -position - 1 WHERE position < 0',
      ])
      expect(closed).toMatchObject({ position: String(middle), problem: `reordered: the record belongs at position ${middle + 1n}` })
    })

    it('names swapped records', async () => {
      const bad = await tamper([
        `UPDATE event SET position = -1 WHERE position = ${middle}`,
        `UPDATE event SET position = ${middle} WHERE position = ${middle + 1n}`,
        `UPDATE event SET position = ${middle + 1n} WHERE position = -1`,
      ])
      expect(bad).toMatchObject({ position: String(middle), problem: expect.stringMatching(/^reordered/) })
    })

    it('names a cut-off end, even with the head set back', async () => {
      expect(await tamper([`DELETE FROM event WHERE position > ${middle}`])).toMatchObject({ position: String(middle + 1n), problem: expect.stringMatching(/^truncated/) })
      const setBack = `UPDATE audit_head SET "position" = e."position", hash = e.hash FROM event e WHERE e."position" = ${middle}`
      expect(await tamper([`DELETE FROM event WHERE position > ${middle}`, setBack])).toMatchObject({ problem: expect.stringMatching(/^truncated: record 20 of agent/) })
      await t.app.get(CheckpointsService, { strict: false }).sign()
      const bad = await tamper([`DELETE FROM event WHERE position > ${middle}`, setBack, 'UPDATE node SET acked_seq = 10 WHERE acked_seq = 20'])
      expect(bad).toMatchObject({ problem: expect.stringMatching(/^truncated: the chain once reached/) })
      await t.postgres.prisma.$executeRawUnsafe('UPDATE node SET acked_seq = 20 WHERE acked_seq = 10')
    })

    it('finds a chain rewritten from one record on by its signed checkpoint', async () => {
      await t.app.get(CheckpointsService, { strict: false }).sign()
      const rows = await t.postgres.prisma.event.findMany({ where: { position: { gte: middle } }, orderBy: { position: 'asc' } })
      let previous: Uint8Array = rows[0]?.prevHash ?? new Uint8Array()
      const statements = rows.map((row) => {
        const body = row.body.replaceAll('public.orders', 'public.others')
        const prev = Buffer.from(previous).toString('hex')
        previous = chainHash(Buffer.from(prev, 'hex'), row.position, body)
        return `UPDATE event SET body = replace(body, 'public.orders', 'public.others'), objects = '{public.others}', prev_hash = decode('${prev}', 'hex'),
          hash = decode('${Buffer.from(previous).toString('hex')}', 'hex') WHERE position = ${row.position}`
      })
      statements.push(`UPDATE audit_head SET hash = decode('${Buffer.from(previous).toString('hex')}', 'hex')`)
      // The agent's own chain names the record, the checkpoint says that it was no mishap.
      expect(await tamper(statements)).toMatchObject({ position: String(middle), problem: expect.stringMatching(/^changed: the record is not the one that its agent wrote/) })
      expect(await tamper(statements, -1)).toMatchObject({ problem: expect.stringMatching(/^changed: the control plane has signed another log/) })

      // R who can rewrite the chain can delete its checkpoints, and would wait for a new one.
      const checkpoints = await t.postgres.prisma.auditCheckpoint.findMany()
      await t.postgres.prisma.auditCheckpoint.deleteMany()
      expect(await tamper(statements, -1)).toMatchObject({ problem: expect.stringMatching(/^changed: the control plane has signed another log/) })
      expect(await tamper([`DELETE FROM event WHERE position > ${middle}`, `UPDATE audit_head SET "position" = e."position", hash = e.hash FROM event e WHERE e."position" = ${middle}`,
        'UPDATE node SET acked_seq = -acked_seq'])).toMatchObject({ problem: expect.stringMatching(/^truncated: the chain once reached/) })
      await t.postgres.prisma.$executeRawUnsafe('UPDATE node SET acked_seq = abs(acked_seq)')
      await t.postgres.prisma.auditCheckpoint.createMany({ data: checkpoints })
    })
  })

  it('keeps a large chain sound (and says how fast it grew)', async () => {
    const agent = await makeAgent(t.postgres.prisma)
    const { id } = await makeSession(t.postgres.prisma, agent)
    const total = 10_000
    const started = performance.now()
    for (let seq = 1; seq <= total; seq += 500) {
      await events.ingest(agent, BigInt(seq), Array.from({ length: 500 }, (_, i) => commandRecord(seq + i, id)))
    }
    const perSecond = Math.round((total / (performance.now() - started)) * 1000)
    process.stdout.write(`audit ingest: ${perSecond} events/s\n`)
    const verifyStarted = performance.now()
    expect(await verify()).toMatchObject({ ok: true })
    process.stdout.write(`audit verify: ${Math.round(performance.now() - verifyStarted)} ms for ${total} events\n`)
  })
})
