import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { encodeChunks, joinRecord } from '@sallyport/kit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CheckpointsService } from '../audit/checkpoints.service.js'
import { EventsService } from '../audit/events.service.js'
import { startApp, type TestApp } from '../testing/app.js'
import { makeAgent, makeSession, record } from '../testing/fixtures.js'
import { LeftoversService } from './leftovers.service.js'
import { RecordingPartsService } from './recording-parts.service.js'

const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-leftovers-'))
const directory = path.join(folder, 'parts')
let t: TestApp
beforeAll(async () => {
  t = await startApp({ SALLYPORT_RECORDINGS_STORE: 'file', SALLYPORT_RECORDINGS_DIRECTORY: directory })
})
afterAll(async () => {
  await t?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const run = (sql: string): Promise<number> => t.postgres.prisma.$executeRawUnsafe(sql)
const clean = () => t.app.get(LeftoversService, { strict: false }).clean()
const waiting = () => t.postgres.prisma.recordingLeftover.findMany()
const files = (session: string): string[] => readdirSync(directory, { recursive: true }).map(String).filter((name) => name.includes(session) && name.endsWith('.part'))

/** A session of one recorded command, over. */
async function recorded(): Promise<string> {
  const agent = await makeAgent(t.postgres.prisma)
  const { id: session } = await makeSession(t.postgres.prisma, agent)
  const { facts, payload } = encodeChunks([{ t_us: 1, s: 'o', d: 'shown' }])
  const pieces = [record(1, 'session.start', { session, parameters: {} }), joinRecord(record(2, 'recording', { session, command: 1, first: 0, ...facts, last: true }), payload), record(3, 'session.end', { session, reason: 'client_closed', commands: 1 })]
  expect(await t.app.get(EventsService, { strict: false }).ingest(agent, 1n, pieces)).toBe(3n)
  return session
}

async function retention(session: string): Promise<void> {
  const text = 'apiVersion: sallyport.dev/v1\nkind: Retention\nmetadata: { name: default }\nspec: { rules: [{ class: recordings, keepDays: 30 }] }\n'
  expect((await t.call('POST', '/v1/apply', { body: { documents: [{ path: 'r.yaml', text }] } })).status).toBe(200)
  await t.app.get(CheckpointsService, { strict: false }).sign()
  await run(`UPDATE event SET received_at = received_at - interval '40 days' WHERE session_id = '${session}'`)
  const { status, body } = await t.call('POST', '/v1/audit/retention/run')
  expect(status, JSON.stringify(body)).toBeLessThan(300)
}

it('a part whose event is stored waits for nothing', async () => {
  const session = await recorded()
  expect(files(session)).toHaveLength(1)
  expect(await waiting()).toEqual([])
  expect(await clean()).toEqual({ deleted: 0, failed: 0 })
})

it('retention deletes the file with the event, and its folder', async () => {
  const [session, other] = [await recorded(), await recorded()]
  await retention(session)
  expect(readdirSync(directory)).not.toContain(session)
  expect(files(other)).toHaveLength(1)
  expect(await waiting()).toEqual([])
})

it('a store that fails is tried again, later', async () => {
  const session = await recorded()
  renameSync(path.join(directory, session), path.join(folder, 'aside'))
  writeFileSync(path.join(directory, session), 'in the way')
  await retention(session)
  const [left] = await waiting()
  expect(left).toMatchObject({ sessionId: session, attempts: 1, store: 'file' })
  expect(left?.dueAt.getTime()).toBeGreaterThan(Date.now())
  rmSync(path.join(directory, session))
  renameSync(path.join(folder, 'aside'), path.join(directory, session))
  expect(await clean()).toEqual({ deleted: 0, failed: 0 })
  expect(files(session)).toHaveLength(1)
  await run('UPDATE recording_leftover SET due_at = now()')
  expect(await clean()).toEqual({ deleted: 1, failed: 0 })
  expect(readdirSync(directory)).not.toContain(session)
})

it('what was written and never acknowledged goes after a day; not what an event names, whatever the list says', async () => {
  const session = await recorded()
  const [name = ''] = files(session)
  await t.app.get(RecordingPartsService, { strict: false }).seal([{ session, seq: 9n, payload: Buffer.from('never stored') }])
  expect(files(session)).toHaveLength(2)
  const [left] = await waiting()
  expect(left?.dueAt.getTime()).toBeGreaterThan(Date.now() + 23 * 3_600_000)
  expect(await clean()).toEqual({ deleted: 0, failed: 0 })
  await run(`INSERT INTO recording_leftover SELECT session_id, first_seq, last_seq, sha256, store, now() FROM recording_part WHERE session_id = '${session}'`)
  await run('UPDATE recording_leftover SET due_at = now()')
  expect(await clean()).toEqual({ deleted: 1, failed: 0 })
  expect(files(session)).toEqual([name])
  expect(await waiting()).toEqual([])
  expect((await t.call('GET', `/v1/events?kind=recording&session=${session}`)).body.items[0].event.chunks[0].d).toBe('shown')
})
