import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { psql, psqlSession, type Client, type Ran } from '../support/client.js'
import { controlPlaneDatabase } from '../support/database.js'
import { direct, eventually } from '../support/direct.js'
import { pidOf } from '../support/ssh.js'
import { Stack } from '../support/stack.js'
import { faults } from './faults.js'

/**
 * What happens to a command and to its record when something breaks at a step of its life. The rows of faults.ts say what is
 * expected, and docs/audit-faults.md is made of them; each test here is one row.
 */
let stack: Stack
let database: pg.Client
let mode = ''
let id = 0
const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-faults-'))
const preload = path.resolve(import.meta.dirname, '../support/fault-points.mjs')

const policyText = (audit: string): string => `apiVersion: sallyport.dev/v1
kind: Policy
metadata: { name: faults }
spec:
  subjects: [{ workload: shop-ci }]
  targets: { names: [orders-db] }
  session: { audit: ${audit} }
  rules:
    - { allow: [sql.select, sql.insert], on: "public.*" }
    - { hold: sql.update, on: "public.*", approvers: { groups: [dba] } }
`

beforeAll(async () => {
  const policyFile = path.join(folder, 'policy.yaml')
  writeFileSync(policyFile, policyText('spooled'))
  stack = await Stack.start({
    policyFile,
    env: { NODE_OPTIONS: `--import=${preload}`, FAULT_FOLDER: folder, SALLYPORT_AGENT_AUDIT_WAIT_SECONDS: '1', SALLYPORT_AGENT_SPOOL_MAX_AGE_SECONDS: '2', SALLYPORT_AGENT_SPOOL_MAX_BYTES: String(8 * 1024 * 1024) },
  })
  mode = 'spooled'
  database = await controlPlaneDatabase(stack)
})

afterAll(async () => {
  await database?.end().catch(() => undefined)
  await stack?.stop()
  rmSync(folder, { recursive: true, force: true })
})

beforeEach(() => {
  id += 1
})

/** After whatever happened: sessions can be opened, everything is acknowledged, and the record verifies from its beginning. */
afterEach(async () => {
  await works()
  await eventually(async () => (await behind()) === 0, 'everything is acknowledged', 30_000)
  expect((await stack.api('GET', '/v1/audit/verify')).body).toMatchObject({ ok: true })
})

async function works(): Promise<void> {
  await eventually(async () => (await psql(await stack.pgEnv(), 'SELECT 1')).code === 0, 'a session can be opened', 30_000)
}

async function behind(): Promise<number> {
  return metric('sallyport_agent_spool_records_behind')
}

/** Of the agent's process of now, which a restart gives another port. */
async function metric(name: string): Promise<number> {
  const ready = readFileSync(stack.line.agents[0]?.log ?? '', 'utf8').split('\n').filter((line) => line.includes('"message":"ready"')).at(-1) ?? '{}'
  const text = await (await fetch(`http://127.0.0.1:${(JSON.parse(ready) as { ops_port: number }).ops_port}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1])
}

async function useMode(wanted: 'strict' | 'spooled' | 'best_effort'): Promise<void> {
  if (mode === wanted) return
  const reply = await stack.api('POST', '/v1/apply', { documents: [{ path: 'faults.yaml', text: policyText(wanted) }] })
  expect(reply.status).toBe(200)
  expect(JSON.stringify(reply.body.warnings).includes('best_effort')).toBe(wanted === 'best_effort')
  mode = wanted
}

const insert = (mark: string): string => `INSERT INTO orders (customer_id, status) VALUES (1, '${mark}') RETURNING status`
const ran = async (mark: string): Promise<number> => (await direct(stack, 'SELECT 1 FROM orders WHERE status = $1', [mark])).length
const recorded = async (mark: string): Promise<any[]> => stack.events(`kind=command&text=${encodeURIComponent(mark)}`)

async function endsOf(mark: string): Promise<string[]> {
  const [command] = await recorded(mark)
  if (command === undefined) return []
  const ends = await stack.events(`session=${command.session}&kind=command.end`)
  return ends.filter(({ event }) => event.command === command.event.command).map(({ event }) => event.status as string)
}

/** Waits until the command is on record with one end, and returns its status. */
async function endOf(mark: string): Promise<string> {
  const ends = await eventually(async () => {
    const found = await endsOf(mark)
    return found.length > 0 && found
  }, `the end of ${mark} is on record`, 30_000)
  expect(ends).toHaveLength(1)
  expect(await recorded(mark)).toHaveLength(1)
  return ends[0] ?? ''
}

/** A session that is open before something breaks. */
async function openSession(): Promise<Client> {
  const session = psqlSession(await stack.pgEnv())
  session.send("SELECT 'u' || 'p';\n")
  await session.seen(/up/)
  return session
}

/** What the session's client saw of one statement. */
async function say(session: Client, sql: string): Promise<string> {
  const before = session.stdout.length + session.stderr.length
  const mark = `said-${Math.random().toString(36).slice(2)}`
  session.send(`${sql};\n\\echo ${mark}\n`)
  await session.seen(new RegExp(mark), 30_000)
  // Errors come on another pipe.
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(session.stdout.length + session.stderr.length).toBeGreaterThan(before)
  return session.stdout + session.stderr
}

async function close(session: Client): Promise<void> {
  session.end()
  await session.exited
}

async function died(name: string, point: string): Promise<void> {
  await eventually(async () => existsSync(path.join(folder, `${point}-${id}`)), `${name} died at ${point}`)
}

async function crash(point: string): Promise<{ mark: string; client: Ran }> {
  const mark = `crash-at:${point}:${id}`
  const client = await psql(await stack.pgEnv(), insert(mark))
  await died('the agent', point)
  await stack.restart('agent-0')
  await works()
  return { mark, client }
}

/** Statements that write orders wait at the target until the returned function is called. */
async function lockOrders(): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: stack.target.superuserUrl })
  await client.connect()
  await client.query('BEGIN')
  await client.query('LOCK TABLE orders IN EXCLUSIVE MODE')
  return () => client.end()
}

async function waitsForLock(mark: string): Promise<void> {
  await eventually(async () => (await direct(stack, "SELECT 1 FROM pg_stat_activity WHERE query LIKE $1 AND pid <> pg_backend_pid() AND wait_event_type = 'Lock'", [`%${mark}%`])).length > 0, 'it runs')
}

function fault(name: string, body: () => Promise<void>): void {
  const row = faults.find((candidate) => candidate.id === name)
  if (row === undefined) throw new Error(`faults.ts has no row ${name}`)
  test(`${name} ${row.fault}: ${row.step} (${row.mode})`, body)
}

describe('kill -9 of the agent', () => {
  fault('AG1', async () => {
    const { mark, client } = await crash('before-record')
    expect(client.code).not.toBe(0)
    expect([await ran(mark), (await recorded(mark)).length]).toEqual([0, 0])
  })

  fault('AG2', async () => {
    const { mark, client } = await crash('recorded')
    expect(client.code).not.toBe(0)
    expect(await endOf(mark)).toBe('unknown')
    expect(await ran(mark)).toBe(0)
  })

  fault('AG3', async () => {
    const { mark, client } = await crash('sent')
    expect(client.code).not.toBe(0)
    expect(await endOf(mark)).toBe('unknown')
    expect(await ran(mark)).toBeLessThanOrEqual(1)
  })

  fault('AG4', async () => {
    const { mark, client } = await crash('result')
    expect([client.code === 0, client.stdout]).toEqual([false, ''])
    expect(await endOf(mark)).toBe('unknown')
    expect(await ran(mark)).toBe(1)
  })

  fault('AG5', async () => {
    const { mark } = await crash('before-end')
    expect(await endOf(mark)).toBe('unknown')
    expect(await ran(mark)).toBe(1)
  })

  fault('AG6', async () => {
    const { mark } = await crash('ended')
    expect(await endOf(mark)).toBe('ok')
    expect(await ran(mark)).toBe(1)
  })

  fault('AG7', async () => {
    const { mark, client } = await crash('acknowledged')
    expect([client.code, client.stdout.trim()]).toEqual([0, mark])
    expect(await endOf(mark)).toBe('ok')
    expect(await ran(mark)).toBe(1)
  })
})

describe('kill -9 of the control plane', () => {
  /** The session's client waits for the record: it is strict. */
  async function crashed(point: string): Promise<void> {
    await useMode('strict')
    const session = await openSession()
    const mark = `crash-at:${point}:${id}`
    const seen = await say(session, insert(mark))
    await died('the control plane', point)
    expect(seen).toMatch(/57P03.*nothing runs unrecorded: the control plane could not make the audit record durable/s)
    await stack.restart('api')
    await works()
    await eventually(async () => (await recorded(mark)).length > 0, 'the record arrived')
    expect(await recorded(mark)).toHaveLength(1)
    expect(await ran(mark)).toBe(0)
    await close(session)
    database = await controlPlaneDatabase(stack)
  }

  fault('CP1', () => crashed('api-received'))
  fault('CP2', () => crashed('api-inserted'))
  fault('CP3', () => crashed('api-committed'))
})

describe('kill -9 of the target', () => {
  fault('TG1', async () => {
    await useMode('spooled')
    const session = await openSession()
    const mark = `target-${id}`
    session.send(`SELECT '${mark}', count(*) FROM generate_series(1, 3000000000);\n`)
    const [backend] = await eventually(async () => {
      const found = await direct<{ pid: number }>(stack, "SELECT pid FROM pg_stat_activity WHERE query LIKE $1 AND pid <> pg_backend_pid() AND state = 'active'", [`%${mark}%`])
      return found.length > 0 && found
    }, 'it runs')
    process.kill(backend?.pid ?? 0, 'SIGKILL')
    expect(await session.exited).not.toBe(0)
    expect(await endOf(mark)).toMatch(/unknown|error/)
    await eventually(async () => (await direct(stack, 'SELECT 1').catch(() => [])).length > 0, 'the target is up again')
  })
})

describe('the database of the control plane', () => {
  /** What breaks, how it is mended, and what a spooled session sees of it. */
  async function broken(how: () => Promise<() => Promise<unknown>>): Promise<void> {
    await useMode('spooled')
    const session = await openSession()
    const kept = await openSession()
    const mend = await how()
    try {
      expect(await say(session, insert(`at-once-${id}`))).toContain(`at-once-${id}\n`)
      await useOverdue(session)
      expect(await ran(`refused-${id}`)).toBe(0)
    } finally {
      await mend()
    }
    expect(await endOf(`at-once-${id}`)).toBe('ok')
    await eventually(async () => /later-\d+\n/.test(await say(kept, insert(`later-${id}`))), 'commands run again')
    await close(session)
    await close(kept)
  }

  /** Records wait for longer than they may: commands wait, too, and are refused. */
  async function useOverdue(session: Client): Promise<void> {
    await eventually(async () => {
      const seen = await say(session, `SELECT 'tried'`)
      return /57P03.*nothing runs unrecorded: the control plane could not make the audit record durable: it has not acknowledged for \d+ s/s.test(seen)
    }, 'the backlog is overdue', 20_000)
    await say(session, insert(`refused-${id}`))
  }

  const trigger = async (text: string): Promise<() => Promise<unknown>> => {
    await database.query(`CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${text} END $$`)
    await database.query('CREATE TRIGGER broken BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION broken()')
    return () => database.query('DROP FUNCTION broken() CASCADE')
  }

  fault('DB1', () => broken(() => trigger("RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';")))

  fault('DB2', () => broken(() => trigger("RAISE EXCEPTION 'could not read block' USING ERRCODE = '58030';")))

  fault('DB3', () =>
    broken(async () => {
      await database.query('BEGIN')
      await database.query('LOCK TABLE event IN ACCESS EXCLUSIVE MODE')
      return () => database.query('ROLLBACK')
    }))

  fault('DB4', async () => {
    await useMode('strict')
    const session = await openSession()
    const mend = await trigger("RAISE EXCEPTION 'no' USING ERRCODE = '53100';")
    try {
      expect(await say(session, insert(`strict-${id}`))).toMatch(/57P03.*nothing runs unrecorded/s)
    } finally {
      await mend()
    }
    await eventually(async () => (await say(session, insert(`strict-later-${id}`))).includes(`strict-later-${id}\n`), 'commands run again')
    expect([await ran(`strict-${id}`), await ran(`strict-later-${id}`)]).toEqual([0, 1])
    await close(session)
  })

  fault('DB5', async () => {
    await useMode('spooled')
    const session = await openSession()
    for (let round = 0; round < 3; round += 1) {
      await database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
      expect(await say(session, insert(`ended-${id}-${round}`))).toContain(`ended-${id}-${round}\n`)
    }
    for (let round = 0; round < 3; round += 1) expect(await endOf(`ended-${id}-${round}`)).toBe('ok')
    await close(session)
  })
})

describe('strict, and the result', () => {
  /** The control plane stops while the command runs: its end can't be durable, and the client is not shown one. */
  async function withheld(sql: (mark: string) => string, status: string): Promise<void> {
    await useMode('strict')
    const session = await openSession()
    const mark = `withheld-${id}`
    const unlock = await lockOrders()
    session.send(`${sql(mark)};\n`)
    await waitsForLock(mark)
    process.kill(pidOf(stack, 'api'), 'SIGSTOP')
    try {
      await unlock()
      await session.seen(/57P03.*the result was not shown: its audit record could not be made durable/s)
      expect(session.stdout).not.toContain(mark)
      expect(session.stderr).not.toContain('division by zero')
      expect(await session.exited).not.toBe(0)
    } finally {
      process.kill(pidOf(stack, 'api'), 'SIGCONT')
    }
    expect(await endOf(mark)).toBe(status)
  }

  fault('ST1', () => withheld(insert, 'ok'))
  fault('ST2', () => withheld((mark) => `INSERT INTO orders (customer_id, status) SELECT 1 / (id - id), '${mark}' FROM customers LIMIT 1`, 'error'))
})

describe('partition', () => {
  fault('PT1', async () => {
    await useMode('spooled')
    const session = await openSession()
    process.kill(pidOf(stack, 'api'), 'SIGSTOP')
    try {
      expect(await say(session, insert(`parted-${id}`))).toContain(`parted-${id}\n`)
    } finally {
      process.kill(pidOf(stack, 'api'), 'SIGCONT')
    }
    expect(await endOf(`parted-${id}`)).toBe('ok')
    await close(session)
  })

  fault('PT2', async () => {
    await useMode('spooled')
    const session = await openSession()
    const unlock = await lockOrders()
    session.send(`${insert(`waits-${id}`)};\n`)
    await waitsForLock(`waits-${id}`)
    process.kill(pidOf(stack, 'gateway-0'), 'SIGSTOP')
    try {
      await unlock()
      await eventually(async () => (await ran(`waits-${id}`)) === 1, 'it is done at the target')
    } finally {
      process.kill(pidOf(stack, 'gateway-0'), 'SIGCONT')
    }
    await session.seen(new RegExp(`waits-${id}`))
    expect(await endOf(`waits-${id}`)).toBe('ok')
    await close(session)
  })
})

describe('the disk of the spool', () => {
  fault('DK9', async () => {
    await useMode('spooled')
    const session = await openSession()
    const mark = `crash-at:slow:${id}`
    const begun = performance.now()
    expect(await say(session, insert(mark))).toContain(mark)
    expect(performance.now() - begun).toBeGreaterThan(400)
    expect(await endOf(mark)).toBe('ok')
    await close(session)
  })
})

describe('best_effort', () => {
  fault('SP3', async () => {
    await useMode('best_effort')
    const session = await openSession()
    const filler = 'x'.repeat(60_000)
    process.kill(pidOf(stack, 'api'), 'SIGSTOP')
    let last = ''
    try {
      // Until the spool has refused: from then on some commands go unrecorded.
      await eventually(async () => {
        last = `unrecorded-${id}-${Date.now()}`
        await say(session, `${Array.from({ length: 20 }, () => `SELECT length('${filler}')`).join(';\n')};\n${insert(last)}`)
        return (await metric('sallyport_agent_spool_full')) === 1
      }, 'the spool is full', 60_000)
      last = `unrecorded-${id}-last`
      expect(await say(session, insert(last))).toContain(`${last}\n`)
      expect(session.stderr).not.toContain('57P03')
      expect(await say(session, "UPDATE orders SET status = 'off-record' WHERE id = 1")).toMatch(/57P03.*nothing runs unrecorded: the audit spool is full/s)
    } finally {
      process.kill(pidOf(stack, 'api'), 'SIGCONT')
    }
    expect(await ran(last)).toBe(1)
    const [gap] = await eventually(async () => {
      const found = await stack.events('kind=gap')
      return found.length > 0 && found
    }, 'the gap is on record', 60_000)
    await close(session)
    const { first_command: first, last_command: to, missing, reason, certain } = gap.event
    expect([reason, certain]).toEqual(['full', true])
    expect(missing.command).toBeGreaterThan(0)
    // Exactly what lies between is missing: all ordinals of the session are on record or in the gap.
    await eventually(async () => (await stack.events(`session=${gap.session}&kind=session.end`)).length === 1, 'the session has ended')
    const { rows } = await database.query<{ command: number }>("SELECT command FROM event WHERE kind = 'command' AND session_id = $1 ORDER BY command", [gap.session])
    const present = rows.map(({ command }) => command)
    const gaps = (await stack.events(`session=${gap.session}&kind=gap`)).map(({ event }) => event)
    const counted = gaps.reduce((sum, event) => sum + event.missing.command, 0)
    const end = (await stack.events(`session=${gap.session}&kind=session.end`))[0].event
    expect(present.length + counted).toBe(end.commands)
    for (let ordinal = 1; ordinal <= end.commands; ordinal += 1) {
      if (!present.includes(ordinal)) expect(gaps.some((event) => event.first_command <= ordinal && ordinal <= event.last_command)).toBe(true)
    }
    expect(to).toBeGreaterThanOrEqual(first)
    expect((await stack.api('GET', '/v1/audit/verify')).body.sessions.gaps).toBe((await stack.events('kind=gap')).length)
  })

  fault('SP4', async () => {
    await useMode('best_effort')
    const { mark } = await crash('recorded')
    const [command] = await recorded(mark)
    const [gap] = await eventually(async () => {
      const found = await stack.events(`session=${command.session}&kind=gap`)
      return found.length > 0 && found
    }, 'the possible gap is on record')
    expect(gap.event).toMatchObject({ first_command: 2, reason: 'agent_crashed', certain: false })
    expect(gap.event.last_command).toBeUndefined()
  })
})

describe('clocks that are set', () => {
  async function setClock(name: string, milliseconds: number): Promise<void> {
    const pid = pidOf(stack, name)
    rmSync(path.join(folder, `clock-${pid}`), { force: true })
    writeFileSync(path.join(folder, 'clock'), String(milliseconds))
    process.kill(pid, 'SIGUSR2')
    await eventually(async () => existsSync(path.join(folder, `clock-${pid}`)), 'the clock is set')
  }

  async function jumped(name: string, milliseconds: number, sees: (fresh: Ran) => void): Promise<void> {
    await useMode('spooled')
    const session = await openSession()
    await setClock(name, milliseconds)
    try {
      expect(await say(session, insert(`jumped-${id}`))).toContain(`jumped-${id}\n`)
      sees(await psql(await stack.pgEnv(), insert(`fresh-${id}`)))
    } finally {
      await setClock(name, 0)
    }
    expect(await say(session, insert(`back-${id}`))).toContain(`back-${id}\n`)
    await close(session)
    for (const mark of [`jumped-${id}`, `back-${id}`]) expect(await endOf(mark)).toBe('ok')
    expect((await recorded(`fresh-${id}`)).length).toBe(await ran(`fresh-${id}`))
  }

  fault('CL1', () => jumped('agent-0', 3_600_000, (fresh) => expect(fresh.stderr).toMatch(/grant/)))
  fault('CL2', () => jumped('agent-0', -3_600_000, () => undefined))
  fault('CL3', () => jumped('api', 3_600_000, () => undefined))
  fault('CL4', () => jumped('api', -3_600_000, () => undefined))
})
