import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { chainHash, Frontier, genesisOf, headOf, keyIdOf, leafHash, nodeKeyType, sealed } from '@sallyport/audit-log'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Client, psql } from '../support/client.js'
import { eventually } from '../support/direct.js'
import { hasSshd, policyFor, SshHome } from '../support/ssh.js'
import { Stack } from '../support/stack.js'

/**
 * Somebody who can write the control plane's database changes what was recorded, ever more carefully: at last with all hashes
 * made to fit again. `sallyport audit verify` names the place every time.
 */
let stack: Stack
let database: pg.Client
const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-tamper-'))
const sessions = hasSshd ? 4 : 3

interface Row {
  position: string
  kind: string
  session_id: string | null
  body: string
}

beforeAll(async () => {
  const policyFile = path.join(folder, 'policy.yaml')
  const orders = ['apiVersion: sallyport.dev/v1', 'kind: Policy', 'metadata: { name: test-on-orders }', 'spec:', '  subjects: [{ workload: shop-ci }]', '  targets: { names: [orders-db], protocol: postgres }', '  rules:', '    - { allow: sql.select, on: "public.*" }', '']
  writeFileSync(policyFile, [policyFor('web-01', ['{ allow: ssh.exec, argv: ["echo ..."] }']), orders.join('\n')].join('---\n'))
  stack = await Stack.start({ policyFile, env: { SALLYPORT_AUDIT_SIGN_SECONDS: '3600' } })
  await connect()
  for (const sql of ['SELECT 1 AS first', 'SELECT id, status FROM orders ORDER BY id LIMIT 3', 'SELECT 2 AS last']) expect((await psql(await stack.pgEnv(), sql)).code).toBe(0)
  if (hasSshd) {
    const home = await SshHome.create(stack)
    try {
      expect((await home.run('ssh', ['web-01', 'echo what is recorded'])).code).toBe(0)
    } finally {
      home.remove()
    }
  }
  // The signatures come right behind the ends.
  await eventually(async () => (await rows("kind = 'session.signed'")).length >= sessions, 'the ends are signed')
})

const tables = ['event', 'audit_head', 'audit_tree', 'audit_checkpoint', 'node', 'recording', 'recording_part']

/** What the test begins with. Signed: from here on the control plane signs nothing that disagrees. */
async function keep(): Promise<void> {
  expect((await stack.api('GET', '/v1/audit/checkpoint')).status).toBe(200)
  for (const table of tables) {
    await database.query(`DROP TABLE IF EXISTS kept_${table}`)
    await database.query(`CREATE TABLE kept_${table} AS SELECT * FROM ${table}`)
  }
}

beforeEach(keep)

async function connect(): Promise<void> {
  const directory = path.join(stack.line.dataDir, 'api')
  const port = Number(readFileSync(path.join(directory, 'postgres/postmaster.pid'), 'utf8').split('\n')[3])
  database = new pg.Client({ host: '127.0.0.1', port, user: 'sallyport', database: 'postgres', password: readFileSync(path.join(directory, 'postgres-password'), 'utf8').trim() })
  await database.connect()
}

afterEach(async () => {
  for (const table of tables) {
    await database.query(`DELETE FROM ${table}`)
    await database.query(`INSERT INTO ${table} SELECT * FROM kept_${table}`)
  }
})

afterAll(async () => {
  await database?.end()
  await stack?.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function rows(where: string): Promise<Row[]> {
  return (await database.query<Row>(`SELECT "position", kind, session_id, body FROM event WHERE ${where} ORDER BY "position"`)).rows
}

async function verify(): Promise<{ code: number; said: string }> {
  const [command = '', ...args] = stack.line.cli.argv
  const client = new Client(command, [...args, 'audit', 'verify'], { PATH: process.env['PATH'] ?? '', HOME: stack.line.dataDir, ...stack.line.cli.env })
  const code = await client.exited
  return { code, said: client.stdout + client.stderr }
}

async function broken(position: string | number, problem: RegExp): Promise<void> {
  const { code, said } = await verify()
  expect(code, said).toBe(1)
  expect(said).toContain(`BROKEN at position ${position}:`)
  expect(said).toMatch(problem)
}

/** Computes every hash from a position on anew, sets head and tree, and takes away the checkpoints that speak against it. */
async function chainAnew(from: bigint): Promise<void> {
  let previous: Buffer = (await database.query('SELECT hash FROM event WHERE "position" = $1', [String(from - 1n)])).rows[0]?.hash ?? Buffer.alloc(32)
  let position = from - 1n
  for (const row of await rows(`"position" >= ${from}`)) {
    position += 1n
    const hash = chainHash(previous, position, row.body)
    await database.query('UPDATE event SET "position" = $1, prev_hash = $2, hash = $3 WHERE "position" = $4', [String(position), previous, hash, row.position])
    previous = hash
  }
  const edge = Frontier.empty()
  for (const { hash } of (await database.query<{ hash: Buffer }>('SELECT hash FROM event ORDER BY "position"')).rows) edge.append(leafHash(hash))
  await database.query('UPDATE audit_head SET "position" = $1, hash = $2, edge = $3', [String(position), previous, edge.bytes()])
  await database.query('DELETE FROM audit_checkpoint WHERE "position" >= $1', [String(from)])
}

/** A command in the middle, and what its session's next record is. */
async function middle(): Promise<{ command: Row; next: Row }> {
  const command = (await rows("kind = 'command' AND body LIKE '%FROM orders%'"))[0]
  const next = (await rows(`session_id = '${command?.session_id}' AND "position" > ${command?.position} AND source LIKE 'agent:%'`))[0]
  if (command === undefined || next === undefined) throw new Error('no command')
  return { command, next }
}

const edit = (position: string): Promise<unknown> => database.query(`UPDATE event SET body = replace(body, 'FROM orders', 'FROM orderz'), words = replace(words, 'from orders', 'from orderz') WHERE "position" = $1`, [position])

test('before: whole, and each session is signed by its agent', async () => {
  const { code, said } = await verify()
  expect(code, said).toBe(0)
  expect(said).toMatch(/The chain is whole: \d+ events/)
  expect(said).toMatch(new RegExp(`^Sessions: ${sessions} whole and signed by their agents`, 'm'))
})

test('a session as a file: verified by the published keys alone, and broken by the smallest change', async () => {
  const [end] = await rows("kind = 'session.end'")
  const cli = async (...args: string[]): Promise<{ code: number; said: string }> => {
    const [command = '', ...before] = stack.line.cli.argv
    const client = new Client(command, [...before, ...args], { PATH: process.env['PATH'] ?? '', HOME: folder, ...stack.line.cli.env })
    const code = await client.exited
    return { code, said: client.stdout + client.stderr }
  }
  const file = path.join(folder, 'bundle.jsonl')
  const keys = path.join(folder, 'keys.json')
  expect((await cli('audit', 'bundle', end?.session_id ?? '', '--output', file)).said).toContain('Wrote')
  const printed = await cli('audit', 'keys')
  expect(printed.code, printed.said).toBe(0)
  writeFileSync(keys, printed.said)
  // No control plane at hand.
  const offline = async (bundle: string): Promise<{ code: number; said: string }> => {
    const [command = '', ...before] = stack.line.cli.argv
    const client = new Client(command, [...before, 'audit', 'verify', '--offline', bundle, '--keys', keys], { PATH: process.env['PATH'] ?? '', HOME: folder })
    const code = await client.exited
    return { code, said: client.stdout + client.stderr }
  }
  const good = await offline(file)
  expect(good.said, printed.said).toMatch(/The session is whole: [0-9a-f-]{36}, \d+ records in the log of \d+ records that the control plane signed at .*; agent:[0-9a-f-]{36} signed its end/)
  expect(good.code).toBe(0)
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  const at = lines.findIndex((line) => line.includes('\\"kind\\":\\"command\\"'))
  writeFileSync(`${file}.edited`, lines.map((line, index) => (index === at ? line.replace('SELECT', 'SELEKT') : line)).join('\n'))
  expect(await offline(`${file}.edited`)).toMatchObject({ code: 1, said: expect.stringMatching(/BROKEN at position \d+: changed/) })
  const shown = lines.findIndex((line) => line.includes(',"payload":"'))
  for (const [name, change, problem] of [['other', ',"payload":"AA', /changed: what the session showed is not what the record names/], ['without', ',"was":"', /missing: what the session showed/]] as const) {
    writeFileSync(`${file}.${name}`, lines.map((line, index) => (index === shown ? line.replace(',"payload":"', change) : line)).join('\n'))
    expect(await offline(`${file}.${name}`)).toMatchObject({ code: 1, said: expect.stringMatching(problem) })
  }
  writeFileSync(`${file}.cut`, lines.slice(0, -2).join('\n'))
  // How many lines the proof takes depends on the place in the log: cut off may be records, or a part of the proof.
  expect(await offline(`${file}.cut`)).toMatchObject({ code: 1, said: expect.stringMatching(/BROKEN.*: (missing|changed: the records are not those of the log)/) })
  expect((await cli('audit', 'bundle', '--since', '1h', '--output', `${file}.range`)).said).toContain('Wrote')
  expect((await offline(`${file}.range`)).said).toMatch(/The range is whole: \d+ records/)
  const range = readFileSync(`${file}.range`, 'utf8').trimEnd().split('\n')
  writeFileSync(`${file}.range`, range.toSpliced(5, 1).join('\n'))
  expect(await offline(`${file}.range`)).toMatchObject({ code: 1, said: expect.stringMatching(/BROKEN at position \d+: missing/) })
  // What is looked at is on record.
  expect((await rows("kind = 'session.viewed'")).length).toBe(2)
  await keep()
})

describe('without chaining anew', () => {
  test('a body edited', async () => {
    const { command } = await middle()
    await edit(command.position)
    await broken(command.position, /changed: the hash does not agree/)
  })

  test('a column edited, which is all that searches see', async () => {
    const { command } = await middle()
    await database.query(`UPDATE event SET identity = 'somebody-else' WHERE "position" = $1`, [command.position])
    await broken(command.position, /changed: the column identity/)
  })

  test('a record deleted', async () => {
    const { command } = await middle()
    await database.query('DELETE FROM event WHERE "position" = $1', [command.position])
    await broken(command.position, /missing/)
  })

  test('the last records deleted', async () => {
    const last = (await rows('TRUE')).at(-3)
    await database.query('DELETE FROM event WHERE "position" >= $1', [last?.position])
    await broken(last?.position ?? '', /truncated/)
  })

  test('two records swapped', async () => {
    const { command, next } = await middle()
    await database.query('UPDATE event SET "position" = 0 WHERE "position" = $1', [command.position])
    await database.query('UPDATE event SET "position" = $1 WHERE "position" = $2', [command.position, next.position])
    await database.query('UPDATE event SET "position" = $1 WHERE "position" = 0', [next.position])
    await broken(command.position, /reordered: the record belongs at position/)
  })

  test.skipIf(!hasSshd)('a recording edited', async () => {
    const [recording] = await rows("kind = 'recording'")
    await database.query(`UPDATE event SET body = replace(body, '"count":', '"count": ') WHERE "position" = $1`, [recording?.position])
    await broken(recording?.position ?? 'a recording', /changed/)
  })

  test.skipIf(!hasSshd)('what a session showed edited, taken out, or put under another session', async () => {
    const [recording] = await rows("kind = 'recording'")
    const named = new RegExp(`session ${recording?.session_id}, command 1`)
    const refused = async (): Promise<void> => {
      for (const path of [`events?recordings=true`, 'recording']) {
        const reply = await stack.api('GET', `/v1/sessions/${recording?.session_id}/${path}`)
        expect(reply, path).toMatchObject({ status: 409, body: { code: 'RECORDING_BROKEN' } })
        expect(JSON.stringify(reply.body)).toContain(`at position ${recording?.position}`)
      }
    }
    const dump = await database.query("SELECT coalesce(string_agg(t.text, ' '), '') AS text FROM (SELECT body AS text FROM event WHERE kind = 'recording' UNION ALL SELECT encode(data, 'escape') FROM recording_part) t")
    expect(dump.rows[0].text).not.toContain('is recorded')
    await database.query("UPDATE recording_part SET data = set_byte(data, 60, get_byte(data, 60) # 1) WHERE session_id = $1", [recording?.session_id])
    await broken(recording?.position ?? '', named)
    await broken(recording?.position ?? '', /changed: the stored part of the recording can not be opened/)
    await refused()
    await database.query('DELETE FROM recording_part WHERE session_id = $1', [recording?.session_id])
    await broken(recording?.position ?? '', /missing: the recorded piece is not in the storage/)
    await refused()
    await database.query('DELETE FROM recording WHERE session_id = $1', [recording?.session_id])
    await broken(recording?.position ?? '', /missing/)
  })
})

describe('with every hash of the control plane made to fit again', () => {
  test('a body edited: the agent’s next record names another', async () => {
    const { command, next } = await middle()
    await edit(command.position)
    await chainAnew(BigInt(command.position))
    await broken(command.position, new RegExp(`changed: the record is not the one that its agent wrote; its next one, at position ${next.position}`))
  })

  test.skipIf(!hasSshd)('a recording edited', async () => {
    const [recording] = await rows("kind = 'recording'")
    await database.query(`UPDATE event SET body = replace(body, '"count":', '"count": ') WHERE "position" = $1`, [recording?.position])
    await chainAnew(BigInt(recording?.position ?? 1))
    await broken(recording?.position ?? 'a recording', /changed: the record is not the one that its agent wrote/)
  })

  test('a body edited, and the agent’s links of the session too: its signature remains', async () => {
    const { command } = await middle()
    await edit(command.position)
    const chain = await rows(`session_id = '${command.session_id}' AND source LIKE 'agent:%' AND kind NOT IN ('alert')`)
    let previous = genesisOf(command.session_id ?? '')
    for (const row of chain) {
      const key = ',"event":'
      const at = row.body.indexOf(key) + key.length
      const text = row.body.slice(at, -1).replace(/"prev":"[\w-]{43}"/, `"prev":"${previous}"`)
      previous = headOf(text)
      await database.query('UPDATE event SET body = $1 WHERE "position" = $2', [`${row.body.slice(0, at)}${text}}`, row.position])
    }
    await chainAnew(BigInt(command.position))
    await broken(chain.at(-1)?.position ?? '', /changed: the record is not the one that its agent signed at position/)
  })

  test('a record taken out: the agent’s numbers have a hole', async () => {
    const { command } = await middle()
    // The agent's next record shows it, which moves up by one; the control plane's own may stand between.
    const [after] = await rows(`"position" > ${command.position} AND source = (SELECT source FROM event WHERE "position" = ${command.position})`)
    await database.query('DELETE FROM event WHERE "position" = $1', [command.position])
    await chainAnew(BigInt(command.position))
    await broken(String(BigInt(after?.position ?? 0) - 1n), /missing: records \d+ to \d+ of agent:/)
  })

  test('a session’s end taken out, with its signature', async () => {
    const { command } = await middle()
    const taken = await rows(`(session_id = '${command.session_id}' AND kind = 'session.end') OR (kind = 'session.signed' AND body LIKE '%${command.session_id}%')`)
    await database.query('DELETE FROM event WHERE "position" = ANY($1)', [taken.map(({ position }) => position)])
    await chainAnew(BigInt(taken[0]?.position ?? 1))
    const { code, said } = await verify()
    expect(code, said).toBe(1)
    expect(said).toMatch(/missing: records \d+ to \d+ of agent:|truncated/)
  })

  test('a record doubled at the end', async () => {
    const { command } = await middle()
    const last = (await rows('TRUE')).at(-1)
    await database.query(
      `INSERT INTO event SELECT ($2::bigint + 1), gen_random_uuid(), "time", received_at, source, NULL, kind, session_id, command, identity, target, actions, objects, decision, rule, words, body, prev_hash, hash FROM event WHERE "position" = $1`,
      [command.position, last?.position],
    )
    await chainAnew(BigInt(last?.position ?? 0) + 1n)
    await broken(BigInt(last?.position ?? 0) + 1n + '', /changed: the column|reordered|forked/)
  })

  test('the whole database set back to an older state', async () => {
    const older = (await rows('TRUE')).at(-6)
    await database.query('DELETE FROM event WHERE "position" > $1', [older?.position])
    await database.query('DELETE FROM audit_checkpoint WHERE "position" > $1', [older?.position])
    await database.query('UPDATE audit_head SET "position" = $1, hash = (SELECT hash FROM event WHERE "position" = $1)', [older?.position])
    await broken(BigInt(older?.position ?? 0) + 1n + '', /truncated/)
  })
})

describe('with what else is stored made to fit, too', () => {
  test('an agent’s key exchanged, and every record and signature of it made anew', async () => {
    const { command } = await middle()
    await edit(command.position)
    const agent = (await database.query<{ source: string }>('SELECT source FROM event WHERE "position" = $1', [command.position])).rows[0]?.source ?? ''
    const node = agent.slice('agent:'.length)
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const spki = pair.publicKey.export({ type: 'spki', format: 'der' })
    await database.query('UPDATE node SET public_key = $1 WHERE id = $2', [spki, node])
    // Who has the database has no key of the control plane: this is the best statement that can be had.
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const text = `${part({ alg: 'EdDSA', typ: nodeKeyType })}.${part({ node, kind: 'agent', public_key: spki.toString('base64'), iat: 1 })}`
    const statement = `${text}.${sign(null, Buffer.from(text), generateKeyPairSync('ed25519').privateKey).toString('base64url')}`
    const [enrolled] = await rows(`kind = 'node.enrolled' AND body LIKE '%${node}%'`)
    await database.query('UPDATE event SET body = $1 WHERE "position" = $2', [enrolled?.body.replace(/"key":"[^"]*"/, `"key":"${statement}"`), enrolled?.position])
    const heads = new Map<string, { records: number; head: string }>()
    for (const row of await rows(`source = '${agent}' AND kind <> 'alert'`)) {
      const at = row.body.indexOf(',"event":') + ',"event":'.length
      let record = row.body.slice(at, -1)
      if (row.kind === 'session.signed') {
        const { signature: _signature, ...event } = JSON.parse(record)
        for (const head of event.heads) Object.assign(head, heads.get(head.session))
        record = sealed(JSON.stringify({ ...event, key: keyIdOf(spki) }), (bytes) => sign('sha256', Buffer.concat([Buffer.from('sallyport-audit-v1\0'), bytes]), { key: pair.privateKey, dsaEncoding: 'ieee-p1363' }))
      } else if (row.session_id !== null) {
        const { records, head } = heads.get(row.session_id) ?? { records: 0, head: genesisOf(row.session_id) }
        record = record.replace(/"prev":"[\w-]{43}"/, `"prev":"${head}"`)
        heads.set(row.session_id, { records: records + 1, head: headOf(record) })
      }
      await database.query('UPDATE event SET body = $1 WHERE "position" = $2', [`${row.body.slice(0, at)}${record}}`, row.position])
    }
    await chainAnew(1n)
    await broken(enrolled?.position ?? '', /changed: a node enrolled with a key that the control plane did not sign/)
  })

  test('the links of every record taken out, as if the agent were too old to have any', async () => {
    for (const row of await rows("source LIKE 'agent:%'")) await database.query('UPDATE event SET body = $1 WHERE "position" = $2', [row.body.replace(/"chain":\{[^}]*\},/, ''), row.position])
    await chainAnew(1n)
    const [first] = await rows("source LIKE 'agent:%' AND session_id IS NOT NULL")
    await broken(first?.position ?? '', /changed: the record has no place in the chain of session/)
  })

  test('one session broken: the others are still told to be whole', async () => {
    const { command } = await middle()
    await edit(command.position)
    await chainAnew(BigInt(command.position))
    expect((await verify()).said).toMatch(new RegExp(`Sessions: ${sessions - 1} whole and signed by their agents.*, 1 BROKEN`))
  })

  test('a checkpoint of somebody else', async () => {
    await database.query(`UPDATE audit_checkpoint SET note = replace(note, 'time 20', 'time 19')`)
    const { code, said } = await verify()
    expect(code).toBe(1)
    expect(said).toMatch(/changed: the checkpoint of this position is not signed by the control plane/)
  })

  test('the stored tree: no bundle is made of it, and what was published tells', async () => {
    const [command = '', ...before] = stack.line.cli.argv
    const cli = async (...args: string[]): Promise<{ code: number; said: string }> => {
      const client = new Client(command, [...before, ...args], { PATH: process.env['PATH'] ?? '', HOME: folder, ...stack.line.cli.env })
      return { code: await client.exited, said: client.stdout + client.stderr }
    }
    const [keys, published] = [path.join(folder, 'published-keys.json'), path.join(folder, 'published.note')]
    writeFileSync(keys, (await cli('audit', 'keys')).said)
    writeFileSync(published, (await cli('audit', 'checkpoint')).said)
    expect(await cli('audit', 'verify', '--published', published, '--keys', keys)).toMatchObject({ code: 0, said: expect.stringMatching(/The log contains all 1 published checkpoints/) })
    await keep()
    const { command: changed } = await middle()
    await database.query(`UPDATE event SET body = replace(body, 'FROM orders', 'FROM orderz'), words = replace(words, 'from orders', 'from orderz') WHERE "position" = $1`, [changed.position])
    await chainAnew(BigInt(changed.position))
    for (const args of [['audit', 'bundle', changed.session_id ?? '', '--output', path.join(folder, 'x')], ['audit', 'bundle', '--since', '1h', '--output', path.join(folder, 'x')]]) {
      expect(await cli(...args)).toMatchObject({ code: 1, said: expect.stringContaining('The audit log is not what was signed') })
    }
    expect(await cli('audit', 'verify', '--published', published, '--keys', keys)).toMatchObject({ code: 1, said: expect.stringContaining('The audit log is not what was signed') })
  })

  test('the whole database set back, and the control plane started again: the file beside the database remembers', async () => {
    const older = (await rows('TRUE')).at(-6)
    await database.query('DELETE FROM event WHERE "position" > $1', [older?.position])
    await chainAnew(BigInt(older?.position ?? 1))
    await database.query('DELETE FROM audit_checkpoint WHERE "position" > $1', [older?.position])
    await database.query('UPDATE node SET acked_seq = coalesce((SELECT max(source_seq) FROM event WHERE source = \'agent:\' || node.id), 0)')
    await database.end()
    await stack.restart('api')
    await connect()
    const { code, said } = await verify()
    expect(code, said).toBe(1)
    expect(said).toMatch(/truncated|the control plane has signed another log/)
    expect((await stack.api('GET', '/v1/audit/checkpoint')).status).toBe(409)
    expect((await rows("kind = 'alert' AND body LIKE '%AUDIT_LOG_REWRITTEN%'")).length).toBeGreaterThan(0)
  })
})
