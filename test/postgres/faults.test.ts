import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { psql, psqlSession } from '../support/client.js'
import { direct, eventually } from '../support/direct.js'
import { Stack } from '../support/stack.js'

/** Every promise of the design's section 5, with a process that is really killed and a target that is really looked at. */
let stack: Stack

beforeAll(async () => {
  stack = await Stack.start({ gateways: 2 })
})

afterAll(async () => {
  await stack.stop()
})

function pidOf(name: string): number {
  // The harness' line tells the first processes; a restarted one is found by its ready line.
  const log = readFileSync(path.join(stack.line.logsDir, `${name}.log`), 'utf8')
  const ready = log.split('\n').filter((line) => line.includes('"message":"ready"')).at(-1)
  if (ready === undefined) throw new Error(`${name} was never ready`)
  return (JSON.parse(ready) as { pid: number }).pid
}

function killHard(name: string): void {
  process.kill(pidOf(name), 'SIGKILL')
}

async function agentsConnected(count: number): Promise<void> {
  await eventually(async () => {
    const { body } = await stack.api('GET', '/v1/agents')
    return body.items.filter((node: { kind?: string; connected?: boolean }) => node.kind !== 'gateway' && node.connected === true).length >= count
  }, 'the agent is connected')
}

async function works(): Promise<void> {
  await eventually(async () => (await psql(await stack.pgEnv(), 'SELECT 1')).code === 0, 'a session can be opened', 30_000)
}

async function verified(): Promise<void> {
  const { body } = await stack.api('GET', '/v1/audit/verify')
  expect(body).toMatchObject({ ok: true })
}

describe('kill -9 of the agent', () => {
  test('in the middle of a statement: the client sees an error, the target undoes it, the record survives and is closed', async () => {
    const session = psqlSession(await stack.pgEnv())
    session.send("BEGIN; INSERT INTO orders (customer_id, status) VALUES (1, 'agent-killed');\n\\echo inserted\n")
    await session.seen(/inserted/)
    session.send('SELECT count(*) FROM generate_series(1, 3000000000);\n')
    await eventually(async () => (await direct(stack, "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%3000000000%' AND pid <> pg_backend_pid() AND state = 'active'")).length > 0, 'it runs')
    const agent = stack.line.agents[0]
    if (!agent) throw new Error('no agent')
    killHard('agent-0')
    // On disk before the target had it: read the dead agent's spool.
    const spool = path.join(agent.dataDir, 'spool')
    const bytes = readdirSync(spool).filter((name) => name.endsWith('.spool')).map((name) => readFileSync(path.join(spool, name), 'latin1')).join('')
    expect(bytes).toContain('3000000000')
    expect(await session.exited).not.toBe(0)
    expect(session.stderr).toMatch(/connection/i)
    await eventually(async () => (await direct(stack, "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%3000000000%' AND pid <> pg_backend_pid() AND state = 'active'")).length === 0, 'the statement ends at the target', 30_000)
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'agent-killed'")).toHaveLength(0)

    const refused = await psql(await stack.pgEnv(), 'SELECT 1')
    expect(refused.code).toBe(2)
    expect(refused.stderr).toMatch(/agent/i)

    await stack.restart('agent-0')
    await works()
    const command = await eventually(async () => (await stack.events('kind=command&text=3000000000'))[0], 'the command is in the audit trail')
    const ends = await eventually(async () => {
      const found = await stack.events(`session=${command.session}&kind=session.end`)
      return found[0]
    }, 'the session is closed in the record')
    expect(JSON.stringify(ends)).toContain('agent_crashed')
    const commandEnds = await stack.events(`session=${command.session}&kind=command.end`)
    expect(JSON.stringify(commandEnds)).toContain('unknown')
    await verified()
  })

  test('while a statement is held: nothing runs, and its approval is void', async () => {
    const session = psqlSession(await stack.pgEnv())
    session.send("UPDATE orders SET status = 'held-kill' WHERE id = 1;\n")
    await session.seen(/waits for approval/)
    const { body } = await stack.api('GET', '/v1/approvals?state=pending')
    killHard('agent-0')
    await session.exited
    await stack.restart('agent-0')
    await works()
    await eventually(async () => (await stack.api('GET', `/v1/approvals/${body.items[0].id}`)).body.state !== 'pending', 'the approval has ended')
    const late = await stack.api('POST', `/v1/approvals/${body.items[0].id}/approve`, {}, stack.token('dana'))
    expect(late.status).toBe(409)
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'held-kill'")).toHaveLength(0)
    await verified()
  })
})

describe('kill -9 of a gateway', () => {
  test('ends its sessions only; the other gateway goes on', async () => {
    const lost = psqlSession(await stack.pgEnv({ gateway: 0 }))
    const kept = psqlSession(await stack.pgEnv({ gateway: 1 }))
    lost.send("BEGIN; INSERT INTO orders (customer_id, status) VALUES (1, 'gateway-killed');\n\\echo lost-up\n")
    kept.send("SELECT 'kept-up';\n")
    await lost.seen(/lost-up/)
    await kept.seen(/kept-up/)
    killHard('gateway-0')
    lost.send('COMMIT;\n')
    expect(await lost.exited).not.toBe(0)
    kept.send("SELECT 'kept-' || 'going';\n")
    await kept.seen(/kept-going/)
    kept.end()
    await kept.exited
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'gateway-killed'")).toHaveLength(0)
    await eventually(async () => (await direct(stack, "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'")).length === 0, 'no transaction is left open at the target')
    await stack.restart('gateway-0')
    await works()
    await verified()
  })
})

describe('kill -9 of the control plane', () => {
  test('no new session and no approval; what runs goes on; nothing of the record is lost', async () => {
    const running = psqlSession(await stack.pgEnv())
    running.send("SELECT 'before';\n")
    await running.seen(/before/)
    const token = await stack.mint()
    killHard('api')
    const marker = `while-down-${Date.now()}`
    running.send(`SELECT '${marker}';\n`)
    await running.seen(new RegExp(marker))
    running.send("UPDATE orders SET status = 'while-down' WHERE id = 1;\n")
    await running.seen(/57P03.*no approval can be had/s, 20_000)
    const refused = await psql(await stack.pgEnv({ token, gateway: 1 }), 'SELECT 1')
    expect(refused.code).toBe(2)
    expect(refused.stderr).toMatch(/control plane/i)
    await stack.restart('api')
    await works()
    running.send("SELECT 'after';\n")
    await running.seen(/after/)
    running.end()
    await running.exited
    await eventually(async () => (await stack.events(`kind=command&text=${marker}`))[0], 'what ran meanwhile is on record')
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'while-down'")).toHaveLength(0)
    await verified()
  })

  test('a hold that was approved before the crash, or is approved after it, runs once', async () => {
    await direct(stack, "INSERT INTO orders (id, customer_id, status) VALUES (880100, 1, 'survives')")
    const session = psqlSession(await stack.pgEnv())
    session.send("DELETE FROM orders WHERE id = 880100 RETURNING 'gone ' || id;\n")
    await session.seen(/waits for approval/)
    const { body } = await stack.api('GET', '/v1/approvals?state=pending')
    killHard('api')
    await stack.restart('api')
    await agentsConnected(1)
    const approved = await stack.api('POST', `/v1/approvals/${body.items[0].id}/approve`, {}, stack.token('dana'))
    expect(approved.status).toBeLessThan(300)
    await session.seen(/gone 880100/)
    session.end()
    await session.exited
    await verified()
  })
})

describe('the audit trail cannot be written', () => {
  test('a spool that is full denies, and what was begun is closed', async () => {
    const tight = await Stack.start({ env: { SALLYPORT_AGENT_SPOOL_MAX_BYTES: String(8 * 1024 * 1024), SALLYPORT_AGENT_AUDIT_WAIT_SECONDS: '1' } })
    try {
      const agent = tight.line.agents[0]
      if (!agent) throw new Error('no agent')
      const session = psqlSession(await tight.pgEnv())
      session.send("SELECT 'up';\n")
      await session.seen(/up/)
      // The control plane is stopped, not killed: it acknowledges nothing, and the spool fills.
      process.kill(tight.line.pids.api, 'SIGSTOP')
      try {
        // First large statements, then small ones, until not even a small one fits: each waits a second for room.
        for (const size of [15_000, 1000, 100]) {
          for (let round = 0, refused = false; round < 100 && !refused; round += 1) {
            const before = session.stderr.length
            const statements = Array.from({ length: round === 0 ? 1 : 20 }, (_, index) => `SELECT length('${'x'.repeat(size)}${index}')`)
            session.send(`${statements.join('\\;\n')};\n\\echo round-${size}-${round}\n`)
            await session.seen(new RegExp(`round-${size}-${round}\\n`), 60_000)
            refused = session.stderr.slice(before).includes('nothing runs unrecorded')
          }
        }
        expect(session.stderr).toMatch(/57P03.*nothing runs unrecorded: the audit spool is full.*Try again when the control plane can be reached/s)
        session.send("INSERT INTO orders (customer_id, status) VALUES (1, 'unrecorded');\n\\echo tried\n")
        await session.seen(/tried/)
        expect(await direct(tight, "SELECT 1 FROM orders WHERE status = 'unrecorded'")).toHaveLength(0)
      } finally {
        process.kill(tight.line.pids.api, 'SIGCONT')
      }
      await eventually(async () => {
        session.send("SELECT 'goes ' || 'on';\n")
        return session.stdout.includes('goes on')
      }, 'it goes on by itself', 30_000)
      session.end()
      await session.exited
    } finally {
      await tight.stop()
    }
  })
})

describe('the spool is lost', () => {
  test('R an agent whose spool was deleted or restored from an older copy runs nothing any more', async () => {
    const own = await Stack.start()
    try {
      const agent = own.line.agents[0]
      if (!agent) throw new Error('no agent')
      for (let round = 0; round < 3; round += 1) expect((await psql(await own.pgEnv(), 'SELECT 1')).code).toBe(0)
      await eventually(async () => (await own.events('kind=session.end')).length >= 3, 'the record has reached the control plane')
      process.kill(agent.pid, 'SIGKILL')
      rmSync(path.join(agent.dataDir, 'spool'), { recursive: true })
      await own.restart('agent-0')
      const refused = await eventually(async () => {
        const result = await psql(await own.pgEnv(), "INSERT INTO orders (customer_id, status) VALUES (1, 'unheard-of')")
        return /enrol it again/.test(result.stderr) ? result : undefined
      }, 'the agent refuses')
      expect(refused.code).not.toBe(0)
      expect(await direct(own, "SELECT 1 FROM orders WHERE status = 'unheard-of'")).toHaveLength(0)
    } finally {
      await own.stop()
    }
  })
})

describe('strict audit', () => {
  test('denies while the control plane can not make the record durable', async () => {
    const file = path.join(stack.line.dataDir, 'strict.yaml')
    writeFileSync(
      file,
      `apiVersion: sallyport.dev/v1
kind: Policy
metadata: { name: strict }
spec:
  subjects: [{ workload: shop-ci }]
  targets: { names: [orders-db] }
  session: { audit: strict }
  rules:
    - { allow: [sql.select, sql.insert], on: "public.*" }
`,
    )
    const strict = await Stack.start({ policyFile: file })
    try {
      const session = psqlSession(await strict.pgEnv())
      session.send("INSERT INTO orders (customer_id, status) VALUES (1, 'strict-1');\nSELECT 'strict ' || 'up';\n")
      await session.seen(/strict up/)
      const recorded = await strict.events('kind=command.end')
      expect(recorded.length).toBeGreaterThan(0)
      process.kill(strict.line.pids.api, 'SIGSTOP')
      session.send("INSERT INTO orders (customer_id, status) VALUES (1, 'strict-2');\n")
      await session.seen(/57P03.*nothing runs unrecorded/s, 30_000)
      process.kill(strict.line.pids.api, 'SIGCONT')
      session.end()
      await session.exited
      expect(await direct(strict, "SELECT status FROM orders WHERE status LIKE 'strict-%'")).toEqual([{ status: 'strict-1' }])
    } finally {
      await strict.stop()
    }
  })
})

describe('leases', () => {
  test('a session does not outlive its lease when the control plane stays away', async () => {
    const short = await Stack.start({ env: { SALLYPORT_LEASE_SECONDS: '5' } })
    try {
      const session = psqlSession(await short.pgEnv())
      session.send("SELECT 'up';\n")
      await session.seen(/up/)
      process.kill(short.line.pids.api, 'SIGSTOP')
      try {
        await eventually(async () => {
          session.send('SELECT 1;\n')
          return /57P01.*control plane can not be reached/s.test(session.stderr)
        }, 'the session ends with its lease')
        expect(await session.exited).not.toBe(0)
      } finally {
        process.kill(short.line.pids.api, 'SIGCONT')
      }
    } finally {
      await short.stop()
    }
  })
})
