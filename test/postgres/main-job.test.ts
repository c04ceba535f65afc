import { writeFileSync } from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Client, psql, psqlSession } from '../support/client.js'
import { direct, eventually } from '../support/direct.js'
import { Stack } from '../support/stack.js'

let stack: Stack
let env: Record<string, string>

beforeAll(async () => {
  stack = await Stack.start()
  env = await stack.pgEnv()
})

afterAll(async () => {
  await stack.stop()
})

async function nodeClient(): Promise<pg.Client> {
  const credential = await stack.exchange()
  const { readFileSync } = await import('node:fs')
  const client = new pg.Client({
    host: stack.line.gateway.host,
    port: stack.line.gateway.postgresPort,
    user: credential.username,
    password: credential.access_token,
    database: 'orders',
    ssl: { ca: readFileSync(stack.line.gateway.caFile, 'utf8') },
    enableChannelBinding: true,
  })
  await client.connect()
  return client
}

async function pendingApproval(text: string): Promise<{ id: string; text: string }> {
  return eventually(async () => {
    const { body } = await stack.api('GET', '/v1/approvals?state=pending')
    return body.items.find((item: { text: string }) => item.text.includes(text))
  }, 'a pending approval')
}

describe('identity', () => {
  test('a CI token is the password, a wrong one names the claim rule that failed', async () => {
    expect((await psql(env, 'SELECT 1')).stdout.trim()).toBe('1')
    const other = await psql(await stack.pgEnv({ token: await stack.mint({ repository: 'evil/shop' }) }), 'SELECT 1')
    expect(other.code).toBe(2)
    expect(other.stderr).toMatch(/repository/)
    expect(other.stderr).not.toContain('eyJ')
  })

  test('a JIT credential works with channel binding, and revoking it ends its sessions within 2 s', async () => {
    const credential = await stack.exchange()
    const jit = await stack.pgEnv({ token: credential.access_token, env: { PGUSER: credential.username, PGCHANNELBINDING: 'require', PGDATABASE: 'orders' } })
    expect((await psql(jit, 'SELECT count(*) > 0 FROM orders')).stdout.trim()).toBe('t')
    const session = psqlSession(jit)
    session.send("SELECT 'up';\n")
    await session.seen(/up/)
    const before = Date.now()
    const { status } = await stack.api('DELETE', `/v1/credentials/${credential.credential_id}`)
    expect(status).toBeLessThan(300)
    // psql notices when it next reads; \watch keeps it reading.
    session.send('SELECT 1 \\watch 0.1\n')
    await session.exited
    expect(Date.now() - before).toBeLessThan(2500)
    expect((await psql(jit, 'SELECT 1')).code).toBe(2)
    const ended = await eventually(async () => {
      const { body } = await stack.api('GET', '/v1/sessions?limit=200')
      const own = body.items.filter((item: { credential_id: string }) => item.credential_id === credential.credential_id)
      return own.every((item: { ended_at: string | null }) => item.ended_at !== null) && own
    }, 'the sessions have ended')
    expect(ended.map((item: { end_reason: string }) => item.end_reason)).toEqual(['the credential was revoked', 'client_closed'])
  })

  test('a single-use credential opens one session', async () => {
    const credential = await stack.exchange({ single_use: true })
    const jit = await stack.pgEnv({ token: credential.access_token, env: { PGUSER: credential.username, PGDATABASE: 'orders' } })
    expect((await psql(jit, 'SELECT 1')).code).toBe(0)
    expect((await psql(jit, 'SELECT 1')).code).toBe(2)
  })

  test('sallyport exec does the exchange, sets PG*, and revokes on exit', async () => {
    const [command = '', ...args] = stack.line.cli.argv
    const token = path.join(stack.line.dataDir, 'ci-token')
    writeFileSync(token, await stack.mint())
    const client = new Client(command, [...args, 'exec', 'orders-db', '--token-file', token, '--', 'psql', '-X', '-A', '-t', '-c', 'SELECT count(*) > 0 FROM customers'], {
      PATH: process.env['PATH'] ?? '',
      HOME: stack.line.dataDir,
      SALLYPORT_URL: stack.line.api.url,
    })
    expect({ code: await client.exited, stderr: client.stderr }).toMatchObject({ code: 0 })
    expect(client.stdout.trim()).toBe('t')
    const { body } = await stack.api('GET', '/v1/credentials?limit=200')
    const newest = body.items.toSorted((a: { created_at: string }, b: { created_at: string }) => b.created_at.localeCompare(a.created_at))[0]
    expect(newest.revoked_at).not.toBeNull()
    // The revocation comes right behind the client's end, and is not why the session ended.
    const session = await eventually(async () => {
      const { body } = await stack.api('GET', '/v1/sessions?limit=200')
      return body.items.find((item: { credential_id: string; ended_at: string | null }) => item.credential_id === newest.id && item.ended_at !== null)
    }, 'the session has ended')
    expect(session.end_reason).toBe('client_closed')
  })
})

describe('decisions', () => {
  test('what the policy allows runs', async () => {
    const inserted = await psql(env, "INSERT INTO orders (customer_id, status) VALUES (1, 'new') RETURNING id > 0")
    expect({ ...inserted, stdout: inserted.stdout.trim() }).toMatchObject({ code: 0, stdout: 't' })
  })

  test('what nothing allows is denied natively, with rule and hint, and the connection stays usable', async () => {
    const result = await psql(env, ["INSERT INTO customers (id, name) VALUES (99999, 'x')", "SELECT 'still here'"])
    expect(result.stderr).toMatch(/ERROR: {2}42501: Sallyport:/)
    expect(result.stderr).toMatch(/HINT:/)
    expect(result.stdout).toContain('still here')
    expect(await direct(stack, 'SELECT 1 FROM customers WHERE id = 99999')).toHaveLength(0)
  })

  test('P2 nothing of a message with one denied statement is forwarded', async () => {
    const result = await psql(env, "INSERT INTO orders (customer_id, status) VALUES (1, 'p2-marker'); DROP DATABASE orders")
    expect(result.stderr).toContain('42501')
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'p2-marker'")).toHaveLength(0)
  })

  test('P7 deny inside an explicit transaction fails it on both sides', async () => {
    const session = psqlSession(env)
    session.send("BEGIN; INSERT INTO orders (customer_id, status) VALUES (1, 'p7-marker');\n")
    session.send('DROP DATABASE orders;\n')
    await session.seen(/42501/)
    session.send('SELECT 1;\n')
    await session.seen(/25P02/)
    session.send("COMMIT;\nSELECT 'usable';\n")
    await session.seen(/usable/)
    session.end()
    await session.exited
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'p7-marker'")).toHaveLength(0)
  })

  test('P16 ways around a rule are the same effects', async () => {
    for (const sql of [
      "DO $$ BEGIN EXECUTE 'DROP TABLE orders'; END $$",
      "COPY orders TO PROGRAM 'cat > /tmp/out'",
      "SELECT pg_read_file('/etc/passwd')",
      "SELECT lo_export(1, '/tmp/x')",
      "SELECT query_to_xml('SELECT * FROM customers', true, false, '')",
      'SELECT * FROM pg_authid',
      "SELECT set_config('client_encoding', 'SJIS', false)",
      "SET client_encoding = 'SJIS'",
      'SET standard_conforming_strings = off',
      'SET ROLE postgres',
      "PREPARE p AS INSERT INTO customers (id) VALUES (1); EXECUTE p",
      'LISTEN secrets',
      'ALTER SYSTEM SET log_statement = none',
    ]) {
      const result = await psql(env, sql)
      expect({ sql, stderr: result.stderr }).toMatchObject({ sql, stderr: expect.stringMatching(/ERROR/) })
      expect({ sql, code: result.code }).toEqual({ sql, code: 1 })
    }
  })

  test('a syntax error is the error that people know', async () => {
    expect((await psql(env, 'SELEC 1')).stderr).toMatch(/42601.*syntax error/s)
  })

  test('psql describes tables, lists and completes', async () => {
    for (const command of ['\\d', '\\d orders', '\\dt+', '\\du', '\\df', '\\dn', '\\di', '\\dv', '\\conninfo']) {
      const result = await psql(env, command)
      expect({ command, stderr: result.stderr, code: result.code }).toEqual({ command, stderr: '', code: 0 })
    }
  })
})

describe('holds', () => {
  test('a held statement waits, is shown, and runs once when approved', async () => {
    await direct(stack, "INSERT INTO orders (id, customer_id, status) VALUES (880001, 1, 'held-test')")
    const session = psqlSession(env)
    session.send("DELETE FROM orders WHERE id = 880001 RETURNING 'deleted ' || id;\n")
    const [, url] = await session.seen(/waits for approval by dba.*?(https?:\/\/\S+)/s)
    expect(url).toContain('/approvals/')
    const approval = await pendingApproval("880001")
    expect(approval).toMatchObject({
      state: 'pending',
      text: expect.stringContaining("DELETE FROM orders WHERE id = 880001 RETURNING 'deleted ' || id"),
      target: 'orders-db',
      ci: { repository: 'acme/shop', ref: 'refs/heads/main', actor: 'octo-dev' },
    })
    expect(await direct(stack, 'SELECT 1 FROM orders WHERE id = 880001')).toHaveLength(1)
    const { status } = await stack.api('POST', `/v1/approvals/${approval.id}/approve`, { reason: 'checked' }, stack.token('dana'))
    expect(status).toBeLessThan(300)
    await session.seen(/deleted 880001/)
    session.end()
    await session.exited
    expect(await direct(stack, 'SELECT 1 FROM orders WHERE id = 880001')).toHaveLength(0)
  })

  test('rejected, nothing runs, and the client learns who and why', async () => {
    const session = psqlSession(env)
    session.send("UPDATE orders SET status = 'hacked' WHERE id = 1;\n")
    await session.seen(/waits for approval/)
    const approval = await pendingApproval("'hacked'")
    await stack.api('POST', `/v1/approvals/${approval.id}/reject`, { reason: 'not today' }, stack.token('dana'))
    await session.seen(/42501.*rejected by dana: not today/s)
    session.end()
    await session.exited
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'hacked'")).toHaveLength(0)
  })

  test('A the requester, a person outside the group and the CI actor cannot approve', async () => {
    const actor = await stack.pgEnv({ token: await stack.mint({ actor: 'dana-reyes' }) })
    const session = psqlSession(actor)
    session.send("UPDATE orders SET status = 'self' WHERE id = 1;\n")
    await session.seen(/waits for approval/)
    const approval = await pendingApproval("'self'")
    const own = await stack.api('POST', `/v1/approvals/${approval.id}/approve`, {}, stack.token('dana'))
    expect(own.status).toBe(403)
    const outside = await stack.api('POST', `/v1/approvals/${approval.id}/approve`, {}, stack.token('ada'))
    expect(outside.status).toBe(403)
    session.kill('SIGINT')
    await session.seen(/57014|cancel/i)
    session.end()
    await session.exited
    await eventually(async () => {
      const { body } = await stack.api('GET', `/v1/approvals/${approval.id}`)
      return body.state === 'cancelled'
    }, 'the approval is cancelled')
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'self'")).toHaveLength(0)
  })

  test('a client that goes away withdraws its statement', async () => {
    const session = psqlSession(env)
    session.send("UPDATE orders SET status = 'gone' WHERE id = 1;\n")
    await session.seen(/waits for approval/)
    const approval = await pendingApproval("'gone'")
    session.kill('SIGKILL')
    await eventually(async () => (await stack.api('GET', `/v1/approvals/${approval.id}`)).body.state === 'cancelled', 'the approval is cancelled')
    const late = await stack.api('POST', `/v1/approvals/${approval.id}/approve`, {}, stack.token('dana'))
    expect(late.status).toBe(409)
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'gone'")).toHaveLength(0)
  })

  test('a held statement with parameters shows them', async () => {
    const client = await nodeClient()
    const update = client.query('UPDATE orders SET status = $1 WHERE id = $2', ['by-parameter', 2])
    const approval = await pendingApproval("$1 WHERE id = $2")
    expect(approval).toMatchObject({ parameters: ['by-parameter', '2'] })
    await stack.api('POST', `/v1/approvals/${approval.id}/approve`, {}, stack.token('dana'))
    expect((await update).rowCount).toBe(1)
    await client.end()
  })
})

describe('masks', () => {
  test('columns by origin, through alias, expression, subquery, CTE, view text, arrays and JSON', async () => {
    const [raw] = await direct<{ email: string; ssn: string; card_number: string }>(stack, 'SELECT email, ssn, card_number FROM customers WHERE id = 1')
    if (!raw) throw new Error('no customer 1')
    for (const sql of [
      'SELECT * FROM customers WHERE id = 1',
      'SELECT ssn AS x, email AS y, card_number AS z FROM customers WHERE id = 1',
      "SELECT ssn || '', lower(email), substr(card_number, 1, 10) FROM customers WHERE id = 1",
      'SELECT (SELECT ssn FROM customers c WHERE c.id = 1)',
      'WITH c AS (SELECT ssn s, email e FROM customers WHERE id = 1) SELECT s, e FROM c',
      'SELECT row_to_json(customers) FROM customers WHERE id = 1',
      'SELECT customers FROM customers WHERE id = 1',
      'SELECT array_agg(ssn), string_agg(email, chr(44)) FROM customers WHERE id = 1',
      "SELECT encode(ssn::bytea, 'base64'), reverse(email), md5(ssn) FROM customers WHERE id = 1",
      'SELECT CASE WHEN true THEN ssn END, coalesce(email) FROM customers WHERE id = 1',
      'SELECT ssn FROM customers WHERE id = 1 UNION ALL SELECT email FROM customers WHERE id = 1',
      'BEGIN; DECLARE c CURSOR FOR SELECT ssn, email FROM customers WHERE id = 1; FETCH ALL FROM c; COMMIT',
      'COPY (SELECT ssn, email, card_number FROM customers WHERE id = 1) TO STDOUT',
      'COPY (SELECT ssn, email, card_number FROM customers WHERE id = 1) TO STDOUT (FORMAT csv)',
      'COPY customers TO STDOUT',
      'PREPARE m AS SELECT ssn, email FROM customers WHERE id = $1; EXECUTE m(1)',
      "SELECT ssn::int FROM customers WHERE id = 1",
      'SELECT cast(email AS int) FROM customers WHERE id = 1',
    ]) {
      const result = await psql(env, sql)
      const shown = result.stdout + result.stderr
      for (const secret of [raw.ssn, raw.email, raw.card_number, raw.ssn.replaceAll('-', ''), [...raw.email].reverse().join(''), Buffer.from(raw.ssn).toString('base64')]) {
        expect({ sql, leaked: shown.includes(secret), shown: shown.includes(secret) ? shown.slice(0, 300) : '' }).toEqual({ sql, leaked: false, shown: '' })
      }
      // A refusal would hide a leak as well: the statement has to have been answered.
      expect({ sql, denied: result.stderr.includes('42501') ? result.stderr : '' }).toEqual({ sql, denied: '' })
    }
  })

  test('partial keeps a hint of the e-mail, redact nothing', async () => {
    const { stdout } = await psql(env, 'SELECT email, ssn FROM customers WHERE id = 1')
    expect(stdout.trim()).toMatch(/^.\*\*\*@.\*\*\*\.\w+\|\[redacted\]$/)
  })

  test('K2 binary results are masked like text', async () => {
    const client = await nodeClient()
    const { rows } = await client.query({ text: 'SELECT id, email, ssn FROM customers WHERE id = $1', values: [1], binary: true } as pg.QueryConfig)
    expect(String(rows[0].ssn)).toBe('[redacted]')
    expect(String(rows[0].email)).toMatch(/\*\*\*@/)
    await client.end()
  })

  test('contents are found in any column', async () => {
    const rows = await direct<{ notes: string }>(stack, "SELECT notes FROM customers WHERE notes ~ 'eyJ|AKIA|@' ORDER BY id LIMIT 20")
    expect(rows.length).toBeGreaterThan(0)
    const { stdout } = await psql(env, "SELECT notes FROM customers WHERE notes ~ 'eyJ|AKIA|@' ORDER BY id LIMIT 20")
    expect(stdout).not.toMatch(/eyJ[A-Za-z0-9_-]{10}|AKIA[A-Z0-9]{16}|[a-z]+@[a-z]+\.(com|org|net|example)/)
    expect(stdout).toContain('[redacted]')
  })

  test('values of masked columns cannot be copied out from under the mask', async () => {
    for (const sql of ["INSERT INTO orders (customer_id, status) SELECT id, ssn FROM customers", "INSERT INTO orders (customer_id, status) VALUES (1, (SELECT ssn FROM customers LIMIT 1))"]) {
      expect((await psql(env, sql)).stderr).toMatch(/masked column public\.customers\.ssn/)
    }
  })
})

describe('record', () => {
  test('who did what when: events, search and replay', async () => {
    const marker = `marker-${Date.now()}`
    await psql(env, `SELECT '${marker}', email FROM customers WHERE id = 1`)
    const event = await eventually(async () => (await stack.events(`kind=command&text=${marker}`))[0], 'the command is in the audit trail')
    expect(event).toMatchObject({ kind: 'command', identity: { kind: 'workload', name: 'shop-ci' }, target: 'orders-db', decision: 'allow' })
    const end = await eventually(async () => (await stack.events(`kind=command.end&session=${event.session}`))[0], 'its end, too')
    expect(JSON.stringify(end)).toContain('"masked":1')
    const [command = '', ...args] = stack.line.cli.argv
    const replay = new Client(command, [...args, 'sessions', 'replay', event.session], { ...(process.env as Record<string, string>), ...stack.line.cli.env })
    expect(await replay.exited).toBe(0)
    expect(replay.stdout).toContain(marker)
    expect(replay.stdout).toMatch(/\*\*\*@/)
    const verify = new Client(command, [...args, 'audit', 'verify'], { ...(process.env as Record<string, string>), ...stack.line.cli.env })
    expect({ code: await verify.exited, out: verify.stdout, err: verify.stderr }, verify.stdout).toMatchObject({ code: 0 })
  })

  test('refused logins are on record', async () => {
    await psql(await stack.pgEnv({ token: await stack.mint({ repository: 'evil/recorded' }) }), 'SELECT 1')
    await eventually(async () => (await stack.events('kind=auth.failed')).find((event) => JSON.stringify(event).includes('repository')), 'auth.failed')
  })
})

describe('protocol', () => {
  test('COPY FROM STDIN, large results, cancel and named portals', async () => {
    const copy = new Client('psql', ['-X', '-q', '-c', 'COPY orders (customer_id, status) FROM STDIN'], env, '1\tcopied\n2\tcopied\n')
    expect({ code: await copy.exited, stderr: copy.stderr }).toEqual({ code: 0, stderr: '' })
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'copied'")).toHaveLength(2)
    const many = await psql(env, 'SELECT g, repeat(chr(97), 500) FROM generate_series(1, 20000) g')
    expect(many.stdout.split('\n').filter((line) => line !== '')).toHaveLength(20000)
    const slow = psqlSession(env)
    slow.send('SELECT count(*) FROM generate_series(1, 2000000000);\n')
    await eventually(async () => (await direct(stack, "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%2000000000%' AND state = 'active' AND pid <> pg_backend_pid()")).length > 0, 'it runs')
    slow.kill('SIGINT')
    await slow.seen(/57014/)
    await slow.exited
  })

  test('pgbench runs in every mode', async () => {
    await direct(stack, 'CREATE TABLE IF NOT EXISTS pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))')
    await direct(stack, 'INSERT INTO pgbench_accounts SELECT g, 1, 0 FROM generate_series(1, 1000) g ON CONFLICT DO NOTHING')
    await direct(stack, 'GRANT ALL ON pgbench_accounts TO sallyport_agent')
    for (const mode of ['simple', 'extended', 'prepared']) {
      const script = path.join(stack.line.dataDir, 'bench.sql')
      writeFileSync(script, '\\set aid random(1, 1000)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n')
      const bench = new Client('pgbench', ['-n', '-M', mode, '-f', script, '-c', '4', '-t', '200'], env)
      expect({ mode, code: await bench.exited, stderr: bench.stderr.includes('abort') ? bench.stderr : '' }).toEqual({ mode, code: 0, stderr: '' })
      expect(bench.stdout).toMatch(/800\/800/)
    }
  })

  test('a denied Parse in a pipeline leaves the connection usable after Sync', async () => {
    const client = await nodeClient()
    await expect(client.query('INSERT INTO customers (id) VALUES ($1)', [1])).rejects.toMatchObject({ code: '42501' })
    expect((await client.query('SELECT $1::int AS one', [1])).rows).toEqual([{ one: 1 }])
    const named = { name: 'by-id', text: 'SELECT status FROM orders WHERE id = $1' }
    for (const id of [1, 2, 3]) expect((await client.query({ ...named, values: [id] })).rows).toHaveLength(1)
    await client.end()
  })
})
