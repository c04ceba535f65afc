import { encodeChunks, joinRecord } from '@sallyport/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BundlesService } from '../audit/bundles.service.js'
import { CheckpointsService } from '../audit/checkpoints.service.js'
import { EventsService } from '../audit/events.service.js'
import { commandRecord, makeAgent, makeSession, record } from '../testing/fixtures.js'
import { startApp, type TestApp } from '../testing/app.js'

describe('retention', () => {
  let t: TestApp
  let agent: string
  let seq = 0
  const query = <T = { n: number }>(sql: string): Promise<T[]> => t.postgres.prisma.$queryRawUnsafe<T[]>(sql)
  const run = (sql: string): Promise<number> => t.postgres.prisma.$executeRawUnsafe(sql)
  const verify = async (): Promise<any> => (await t.call('GET', '/v1/audit/verify')).body
  const delivered = async (...records: Buffer[]): Promise<void> => void (await t.app.get(EventsService, { strict: false }).ingest(agent, BigInt(seq - records.length + 1), records))

  beforeAll(async () => {
    t = await startApp()
    agent = await makeAgent(t.postgres.prisma)
  })
  afterAll(async () => {
    await t?.stop()
  })

  /** A session of some commands; over, unless told otherwise. */
  async function session(commands: number, ended = true, identity = 'shop-ci'): Promise<string> {
    const { id } = await makeSession(t.postgres.prisma, agent, { identity })
    await delivered(record((seq += 1), 'session.start', { session: id, parameters: {} }))
    for (let index = 0; index < commands; index++) await delivered(commandRecord((seq += 1), id))
    if (ended) await delivered(record((seq += 1), 'session.end', { session: id, reason: 'client_closed', commands }))
    return id
  }

  async function keep(rules: string): Promise<void> {
    const text = `apiVersion: sallyport.dev/v1\nkind: Retention\nmetadata: { name: default }\nspec: { rules: [${rules}] }\n`
    const answer = await t.call('POST', '/v1/apply', { body: { documents: [{ path: 'retention.yaml', text }] } })
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  }

  const age = (id: string): Promise<number> => run(`UPDATE event SET received_at = received_at - interval '40 days' WHERE session_id = '${id}'`)
  const left = async (id: string, kind: string): Promise<number> => Number((await query(`SELECT count(*)::int AS n FROM event WHERE session_id = '${id}' AND kind = '${kind}'`))[0]?.n)
  const signed = (): Promise<void> => t.app.get(CheckpointsService, { strict: false }).sign()
  const due = async (): Promise<any[]> => (await t.call('GET', '/v1/audit/retention')).body.items

  it('without a document nothing is deleted; what is not signed yet stays', async () => {
    await session(3)
    expect(await due()).toEqual([])
    await keep('{ class: commands, keepDays: 30 }')
    expect((await t.call('POST', '/v1/audit/retention/run')).body).toEqual({ items: [] })
  })

  it('by age: of sessions that are over, and under no hold; the log stays whole, and proves it', async () => {
    const [old, live, held] = [await session(5), await session(4, false), await session(3, true, 'held-ci')]
    const young = await session(2)
    expect((await t.call('POST', '/v1/audit/holds', { body: { reason: 'case 4711', identity: 'held-ci' } })).status).toBe(201)
    expect((await t.call('POST', '/v1/audit/holds', { body: { reason: 'everything' } })).status).toBe(400)
    await signed()
    // Set back for as long as retention looks: verification would say that the column was changed.
    for (const id of [old, live, held]) await age(id)
    expect(await due()).toEqual([{ class: 'commands', document: 'default', events: 5, bytes: expect.any(Number) }])
    expect((await t.call('POST', '/v1/audit/retention/run')).body.items).toMatchObject([{ class: 'commands', events: 5 }])
    expect(await Promise.all([old, live, held, young].map((id) => left(id, 'command')))).toEqual([0, 4, 3, 2])
    expect(await left(old, 'session.start')).toBe(1)
    await run(`UPDATE event SET received_at = received_at + interval '40 days' WHERE session_id IN ('${live}', '${held}', '${old}')`)
    expect(await verify()).toMatchObject({ ok: true, deleted: 5 })
    // Again: nothing more.
    expect((await t.call('POST', '/v1/audit/retention/run')).body.items).toMatchObject([{ events: 0 }])
    const [hold] = (await t.call('GET', '/v1/audit/holds')).body.items
    expect(hold).toMatchObject({ reason: 'case 4711', identity: 'held-ci', created_by: 'ada', released_by: null })
    expect((await t.call('POST', `/v1/audit/holds/${hold.id}/release`, { body: { reason: 'closed' } })).status).toBe(204)
    expect((await t.call('POST', `/v1/audit/holds/${hold.id}/release`, { body: { reason: 'closed' } })).status).toBe(404)
    await age(held)
    expect(await due()).toMatchObject([{ events: 3 }])
    await run(`UPDATE event SET received_at = received_at + interval '40 days' WHERE session_id = '${held}'`)
    expect((await t.call('GET', '/v1/events?kind=hold')).body.items.map((item: any) => item.kind)).toEqual(['hold.released', 'hold.created'])
    await expect(t.app.get(BundlesService, { strict: false }).ofSession(old, agent)).rejects.toMatchObject({ code: 'PARTLY_DELETED' })
  })

  it('by size: the oldest goes first', async () => {
    const [first, second] = [await session(6), await session(6)]
    await signed()
    const [size] = await query<{ n: number }>(`SELECT sum(octet_length(body))::int AS n FROM event WHERE kind = 'command' AND session_id = '${second}'`)
    await keep(`{ class: commands, keepAtMost: ${size?.n} }`)
    await t.call('POST', '/v1/audit/retention/run')
    expect([await left(first, 'command'), await left(second, 'command')]).toEqual([0, 6])
    expect(await verify()).toMatchObject({ ok: true })
  })

  it('proofs and checkpoints go over what is gone', async () => {
    const before = BigInt((await query<{ n: bigint }>('SELECT max("position") AS n FROM event'))[0]?.n ?? 0)
    await session(3)
    await signed()
    for (const size of [1n, before / 2n, before]) expect((await t.call('GET', `/v1/audit/consistency?size=${size}`)).status).toBe(200)
  })

  describe('somebody with the database', () => {
    async function tampered(...statements: string[]): Promise<{ position: string; problem: string } | undefined> {
      for (const table of ['event', 'event_tombstone']) await run(`CREATE TABLE kept_${table} AS SELECT * FROM ${table}`)
      try {
        for (const statement of statements) await run(statement)
        return (await verify()).first_bad
      } finally {
        for (const table of ['event', 'event_tombstone']) {
          await run(`DELETE FROM ${table}`)
          await run(`INSERT INTO ${table} SELECT * FROM kept_${table}`)
          await run(`DROP TABLE kept_${table}`)
        }
        expect(await verify()).toMatchObject({ ok: true })
      }
    }

    it('puts a tombstone in the place of a record', async () => {
      const [victim] = await query<{ position: bigint; link: number; head: string }>(`SELECT "position", 1 AS link, 'x' AS head FROM event WHERE kind = 'command' ORDER BY "position" DESC LIMIT 1`)
      const fake = (run: string): string => `INSERT INTO event_tombstone SELECT "position", hash, source, source_seq, kind, session_id, substring(body FROM '"n":([0-9]+)')::int, 'x', ${run} FROM event WHERE "position" = ${victim?.position}`
      const gone = `DELETE FROM event WHERE "position" = ${victim?.position}`
      expect((await tampered(fake('gen_random_uuid()'), gone))?.problem).toMatch(/signed no deletion of it|is not the one that its agent wrote/)
      expect((await tampered(fake('(SELECT run FROM event_tombstone LIMIT 1)'), gone))?.problem).toMatch(/signed the deletion of \d+ others|is not the one that its agent wrote/)
      // With the right link and head as well: of the control plane's own records nothing but the signature speaks.
      const control = (await query<{ position: bigint }>(`SELECT "position" FROM event WHERE kind = 'document.applied' LIMIT 1`))[0]?.position
      const bury = `INSERT INTO event_tombstone SELECT "position", hash, source, source_seq, kind, session_id, NULL, NULL, gen_random_uuid() FROM event WHERE "position" = ${control}`
      expect(await tampered(bury, `DELETE FROM event WHERE "position" = ${control}`)).toEqual({ position: String(control), problem: 'missing: the record is not there, and the control plane signed no deletion of it' })
    })

    it('takes a tombstone away, changes one, or puts the record back', async () => {
      const [some] = await query<{ position: bigint }>('SELECT "position" FROM event_tombstone ORDER BY "position" LIMIT 1')
      expect(await tampered(`DELETE FROM event_tombstone WHERE "position" = ${some?.position}`)).toMatchObject({ position: String(some?.position), problem: expect.stringMatching(/^missing/) })
      expect((await tampered(`UPDATE event_tombstone SET kind = 'session.end' WHERE "position" = ${some?.position}`))?.problem).toMatch(/^(missing|forked)/)
      expect((await tampered(`INSERT INTO event SELECT ${some?.position}, gen_random_uuid(), "time", received_at, source, source_seq, kind, session_id, command, identity, target, actions, objects, decision, rule, words, body, prev_hash, hash FROM event ORDER BY "position" LIMIT 1`))?.problem).toMatch(/^(forked|reordered|changed)/)
    })
  })

  it('what a session showed goes with the events that name it, and its key with the last of them', async () => {
    const id = await session(1, false)
    const { facts, payload } = encodeChunks([{ t_us: 0, s: 'o', d: 'shown' }])
    await delivered(joinRecord(record((seq += 1), 'recording', { session: id, command: 1, first: 0, ...facts }), payload))
    await delivered(record((seq += 1), 'session.end', { session: id, reason: 'client_closed', commands: 1 }))
    const rest = async (): Promise<number[]> => [await t.postgres.prisma.recordingPart.count({ where: { sessionId: id } }), await t.postgres.prisma.recording.count({ where: { sessionId: id } })]
    expect(await rest()).toEqual([1, 1])
    await keep('{ class: recordings, keepDays: 30 }')
    await signed()
    await age(id)
    expect((await t.call('POST', '/v1/audit/retention/run')).body.items).toMatchObject([{ class: 'recordings', events: 1 }])
    expect(await rest()).toEqual([0, 0])
    await run(`UPDATE event SET received_at = received_at + interval '40 days' WHERE session_id = '${id}'`)
    expect(await verify()).toMatchObject({ ok: true })
  })

  it('a month with nothing left goes', async () => {
    await run(`SELECT audit_month('2020-03-05Z'::timestamptz)`).catch(() => query(`SELECT audit_month('2020-03-05Z'::timestamptz)::text`))
    expect(await query(`SELECT 1 AS n FROM pg_class WHERE relname = 'event_2020_03'`)).toHaveLength(1)
    await t.call('POST', '/v1/audit/retention/run')
    expect(await query(`SELECT 1 AS n FROM pg_class WHERE relname = 'event_2020_03'`)).toHaveLength(0)
  })

  it('documents are strict', async () => {
    const apply = (rules: string) => t.call('POST', '/v1/apply', { body: { documents: [{ path: 'r.yaml', text: `apiVersion: sallyport.dev/v1\nkind: Retention\nmetadata: { name: x }\nspec: { rules: [${rules}] }\n` }] } })
    for (const rules of ['', '{ class: commands }', '{ class: everything, keepDays: 1 }', '{ class: commands, keepDays: 0 }', '{ class: commands, keepDays: 1 }, { class: commands, keepDays: 2 }']) {
      expect((await apply(rules)).status, rules).toBe(422)
    }
  })
})
