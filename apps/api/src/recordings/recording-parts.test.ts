import { digestOf, encodeChunks, joinRecord, makePayload } from '@sallyport/kit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { AuditRepository } from '../audit/audit.repository.js'
import { EventsService } from '../audit/events.service.js'
import { startApp, type TestApp } from '../testing/app.js'
import { makeAgent, makeSession, record } from '../testing/fixtures.js'

let t: TestApp
let events: EventsService
beforeAll(async () => {
  t = await startApp()
  events = t.app.get(EventsService, { strict: false })
})
afterAll(async () => {
  await t?.stop()
})

const piece = (seq: number, session: string, text: string, change: object = {}): Buffer => {
  const { facts, payload } = encodeChunks([{ t_us: seq, s: 'o', d: text }])
  return joinRecord(record(seq, 'recording', { session, command: 1, first: seq, ...facts, ...change }), payload)
}
const own = async () => {
  const agent = await makeAgent(t.postgres.prisma)
  return { agent, session: (await makeSession(t.postgres.prisma, agent)).id }
}
const shown = async (session: string): Promise<any> => (await t.call('GET', `/v1/events?kind=recording&session=${session}&order=asc`)).body
const texts = async (session: string): Promise<string[]> => (await shown(session)).items.map((item: any) => item.event.chunks?.[0].d)
const alerts = (agent: string) => t.postgres.prisma.event.findMany({ where: { source: `agent:${agent}`, kind: 'alert' }, orderBy: { position: 'asc' } })

it('what sessions showed is kept sealed, given back with its event, and sent again it stands there once', async () => {
  const { agent, session } = await own()
  const second = (await makeSession(t.postgres.prisma, agent)).id
  const batch = [1, 2, 3, 4].map((seq) => piece(seq, seq === 3 ? second : session, `planted line ${seq}`))
  expect(await events.ingest(agent, 1n, batch.slice(0, 2))).toBe(2n)
  expect(await events.ingest(agent, 1n, batch)).toBe(4n)
  expect(await events.ingest(agent, 1n, batch)).toBe(4n)
  expect(await texts(session)).toEqual(['planted line 1', 'planted line 2', 'planted line 4'])
  expect(await texts(second)).toEqual(['planted line 3'])
  const parts = await t.postgres.prisma.recordingPart.findMany({ where: { sessionId: session }, orderBy: { firstSeq: 'asc' } })
  expect(parts.map(({ firstSeq, lastSeq, store }) => [firstSeq, lastSeq, store])).toEqual([[1n, 2n, 'postgres'], [4n, 4n, 'postgres']])
  const rows = await t.postgres.prisma.event.findMany({ where: { sessionId: session } })
  expect(rows.map(({ body }) => body).join('') + parts.map(({ data }) => Buffer.from(data ?? []).toString('latin1')).join('')).not.toContain('planted')
  expect((await t.call('GET', '/v1/audit/verify')).body).toMatchObject({ ok: true })
})

it('the result of a command is kept the same way, and given back in its event', async () => {
  const { agent, session } = await own()
  const result = { columns: ['name'], rows: [['planted row']], truncated: false }
  const { facts, payload } = makePayload(JSON.stringify(result))
  const end = { session, command: 1, status: 'ok', result_bytes: facts.bytes, result_sha256: facts.sha256 }
  await events.ingest(agent, 1n, [joinRecord(record(1, 'command.end', end), payload), record(2, 'command.end', { ...end, result_bytes: 7 }), record(3, 'command.end', { session, command: 2, status: 'ok' })])
  const { items } = (await t.call('GET', `/v1/events?session=${session}&order=asc`)).body
  expect(items.map((item: any) => item.event.result)).toEqual([result, undefined])
  expect((await alerts(agent)).length).toBe(1)
  expect((await t.postgres.prisma.event.findMany({ where: { sessionId: session } })).map(({ body }) => body).join('')).not.toContain('planted')
  const parts = await t.postgres.prisma.recordingPart.findMany({ where: { sessionId: session } })
  await t.postgres.prisma.recordingPart.deleteMany({ where: { sessionId: session } })
  expect((await t.call('GET', '/v1/audit/verify')).body).toMatchObject({ ok: false, first_bad: { problem: expect.stringContaining('missing: the recorded piece') } })
  await t.postgres.prisma.recordingPart.createMany({ data: parts.map((part) => ({ ...part, data: part.data === null ? null : new Uint8Array(part.data) })) })
})

it('a payload that is not the one that the record names is kept as an alert, whole and in its place', async () => {
  const { agent, session } = await own()
  const foreign = (await own()).session
  const wrong = [
    piece(1, session, 'first', { sha256: digestOf(Buffer.from('another')) }),
    piece(2, session, 'second', { bytes: 7 }),
    piece(3, session, 'third', { chunks: [] }),
    record(4, 'recording', { session, command: 1, first: 0, count: 1, bytes: 1, sha256: 'x' }),
    record(5, 'recording', { session, command: 1, first: 0 }),
    joinRecord(record(6, 'session.start', { session, parameters: {} }), Buffer.from('more')),
    piece(7, foreign, 'seventh'),
  ]
  expect(await events.ingest(agent, 1n, wrong)).toBe(7n)
  const kept = await alerts(agent)
  expect(kept.map(({ sourceSeq }) => Number(sourceSeq))).toEqual([1, 2, 3, 4, 5, 6, 7])
  for (const [i, text] of ['first', 'second', 'third', '', '', 'more', 'seventh'].entries()) expect(kept[i]?.body).toContain(text)
  expect(kept[6]?.body).toContain('FOREIGN_SESSION')
  expect(await t.postgres.prisma.recordingPart.count({ where: { sessionId: { in: [session, foreign] } } })).toBe(0)
})

it('a payload that nobody can read is stored as it is, and said to be unreadable', async () => {
  const { agent, session } = await own()
  const payload = Buffer.from('salt\nno json\n')
  await events.ingest(agent, 1n, [joinRecord(record(1, 'recording', { session, command: 1, first: 0, count: 1, bytes: payload.length, sha256: digestOf(payload) }), payload)])
  expect(await texts(session)).toEqual([undefined])
})

it('an older agent, with chunks in its record, is still understood', async () => {
  const { agent, session } = await own()
  await events.ingest(agent, 1n, [record(1, 'recording', { session, command: 1, first: 0, chunks: [{ t_us: 0, s: 'o', d: 'old' }] })])
  expect(await texts(session)).toEqual(['old'])
})

it('a spool that was set back can not replace what is stored', async () => {
  const { agent, session } = await own()
  await events.ingest(agent, 1n, [piece(1, session, 'genuine'), piece(2, session, 'genuine too')])
  expect(await events.ingest(agent, 1n, [piece(1, session, 'forged'), piece(2, session, 'forged too'), piece(3, session, 'new')])).toBe(3n)
  expect(await texts(session)).toEqual(['genuine', 'genuine too', 'new'])
})

it('the part of one session under another’s name is refused, and so is a recording whose key was deleted', async () => {
  const [one, two] = [await own(), await own()]
  for (const { agent, session } of [one, two]) await events.ingest(agent, 1n, [piece(1, session, 'mine')])
  const { prisma } = t.postgres
  await prisma.$executeRaw`UPDATE recording_part SET data = (SELECT data FROM recording_part WHERE session_id = ${two.session}::uuid) WHERE session_id = ${one.session}::uuid`
  expect(await shown(one.session)).toMatchObject({ status: 409, code: 'RECORDING_BROKEN' })
  expect((await t.call('GET', '/v1/audit/verify')).body).toMatchObject({ ok: false, problems: expect.arrayContaining([expect.objectContaining({ problem: expect.stringContaining('changed: the stored part') })]) })
  await prisma.recording.delete({ where: { sessionId: two.session } })
  expect(await shown(two.session)).toMatchObject({ status: 503, code: 'RECORDING_UNREADABLE' })
})

it('what can not be stored is not acknowledged: neither without its database nor between storing and acknowledging', async () => {
  const { agent, session } = await own()
  const repository = t.app.get(AuditRepository, { strict: false })
  const { transaction } = repository
  repository.transaction = () => Promise.reject(new Error('killed'))
  await expect(events.ingest(agent, 1n, [piece(1, session, 'once')])).rejects.toThrow('could not be written')
  repository.transaction = transaction
  expect(await events.ingest(agent, 1n, [piece(1, session, 'once'), piece(2, session, 'twice')])).toBe(2n)
  expect(await texts(session)).toEqual(['once', 'twice'])
  expect(await t.postgres.prisma.recordingPart.count({ where: { sessionId: session } })).toBe(1)
})
