import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { psql, psqlSession, type Client } from '../support/client.js'
import { direct, eventually } from '../support/direct.js'
import { Stack } from '../support/stack.js'

/*
 * The spool's disk fails for real: a file system without room, and the kernel's refusal to let a file grow (which comes from write(2)
 * like an I/O error does). Nothing may run unrecorded, the agent lives and says so, and the record is whole when it goes on: by itself
 * when there is room again, after a restart when a write failed.
 */

let stack: Stack

beforeAll(async () => {
  stack = await Stack.start({ env: { SALLYPORT_AGENT_AUDIT_WAIT_SECONDS: '1' } })
})

afterAll(async () => {
  await stack?.stop()
})

const agent = (): Stack['line']['agents'][number] => {
  const [one] = stack.line.agents
  if (!one) throw new Error('no agent')
  return one
}

/** The agent's process of now and its operations port; a restarted one is found by its ready line. */
function ready(): { pid: number; ops_port: number } {
  const line = readFileSync(agent().log, 'utf8').split('\n').filter((text) => text.includes('"message":"ready"')).at(-1)
  if (line === undefined) throw new Error('the agent was never ready')
  return JSON.parse(line) as { pid: number; ops_port: number }
}

async function ops(route: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${ready().ops_port}${route}`)
  return { status: response.status, text: await response.text() }
}

async function works(): Promise<void> {
  await eventually(async () => (await psql(await stack.pgEnv(), 'SELECT 1')).code === 0, 'a session can be opened', 30_000)
}

const spool = (): string => path.join(agent().dataDir, 'spool')

/** Only root may mount; elsewhere the test says that it was skipped. */
const mayMount = ((): boolean => {
  const directory = mkdtempSync(path.join(tmpdir(), 'sallyport-mount-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory], { stdio: 'ignore' })
    execFileSync('umount', [directory], { stdio: 'ignore' })
    return true
  } catch {
    return false
  } finally {
    rmSync(directory, { recursive: true })
  }
})()

/** A session that is open while the disk fails. */
async function openSession(): Promise<Client> {
  const session = psqlSession(await stack.pgEnv())
  session.send("SELECT 'up';\n")
  await session.seen(/up/)
  return session
}

async function refusesAll(session: Client, marker: string, state: 'full' | 'unwritable'): Promise<void> {
  session.send(`INSERT INTO orders (customer_id, status) VALUES (1, '${marker}');\n\\echo tried\n`)
  await session.seen(/tried/)
  session.send('SELECT 1 AS still_open;\n\\echo again\n')
  await session.seen(/again/)
  await eventually(async () => session.stderr.split('57P03').length - 1 === 2, 'both were refused')
  const fresh = await psql(await stack.pgEnv(), `INSERT INTO orders (customer_id, status) VALUES (1, '${marker}')`)
  expect(fresh.code).not.toBe(0)
  expect(fresh.stderr).toMatch(/FATAL|ERROR/)
  expect(await direct(stack, 'SELECT 1 FROM orders WHERE status = $1', [marker])).toHaveLength(0)
  // The alarm: logged, not ready, and a metric to alert on; the process itself lives.
  const log = readFileSync(agent().log, 'utf8').split('\n').filter((line) => line.includes('the audit spool refuses') || line.includes('the audit spool takes nothing new'))
  expect(log.at(-1)).toMatch(state === 'full' ? /takes nothing new/ : /EFBIG/)
  expect(await ops('/readyz')).toMatchObject({ status: 503, text: expect.stringContaining(state) })
  expect((await ops('/metrics')).text).toMatch(state === 'full' ? /^sallyport_agent_spool_full 1$/m : /^sallyport_agent_spool_failed 1$/m)
  process.kill(ready().pid, 0)
}

async function goesOn(marker: string): Promise<void> {
  await works()
  expect((await psql(await stack.pgEnv(), `INSERT INTO orders (customer_id, status) VALUES (1, '${marker}-later')`)).code).toBe(0)
  expect(await direct(stack, 'SELECT 1 FROM orders WHERE status = $1', [`${marker}-later`])).toHaveLength(1)
  await eventually(async () => (await stack.events(`kind=command&text=${marker}-later`)).length === 1, 'the record goes on')
  expect((await ops('/readyz')).status).toBe(200)
  expect((await ops('/metrics')).text).toMatch(/^sallyport_agent_spool_failed 0$/m)
  expect((await ops('/metrics')).text).toMatch(/^sallyport_agent_spool_full 0$/m)
  expect((await stack.api('GET', '/v1/audit/verify')).body).toMatchObject({ ok: true })
}

describe('R a spool whose disk fails', () => {
  test.skipIf(!mayMount)('R ENOSPC: a full file system (skipped where tmpfs can not be mounted)', async () => {
    process.kill(ready().pid, 'SIGKILL')
    const kept = mkdtempSync(path.join(tmpdir(), 'sallyport-spool-'))
    cpSync(spool(), kept, { recursive: true })
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=18m', 'tmpfs', spool()])
    try {
      cpSync(kept, spool(), { recursive: true })
      await stack.restart('agent-0')
      await works()
      const session = await openSession()
      const filler = path.join(spool(), 'filler')
      expect(() => {
        for (let size = 4096; ; size += 4096) writeFileSync(filler, Buffer.alloc(size))
      }).toThrow(/ENOSPC/)
      // The last page of the segment may have room for some records yet.
      let round = 0
      await eventually(async () => {
        round += 1
        session.send(`SELECT length('${'x'.repeat(2000)}');\n\\echo round-${round}\n`)
        await session.seen(new RegExp(`round-${round}\n`))
        return session.stderr.includes('57P03')
      }, 'the disk has no room')
      session.stdout = ''
      session.stderr = ''
      // Also what was acknowledged is noted on that disk, by a timer: a failure there must not end the process.
      await new Promise((resolve) => setTimeout(resolve, 1200))
      await refusesAll(session, 'no-space', 'full')
      // What is open is closed meanwhile, in the room that the reserve gave.
      session.end()
      await session.exited
      rmSync(filler)
      await eventually(async () => (await ops('/metrics')).text.includes('sallyport_agent_spool_full 0'), 'it goes on by itself')
      await goesOn('no-space')
    } finally {
      process.kill(ready().pid, 'SIGKILL')
      rmSync(kept, { recursive: true })
      cpSync(spool(), kept, { recursive: true })
      execFileSync('umount', ['-l', spool()])
      cpSync(kept, spool(), { recursive: true })
      rmSync(kept, { recursive: true })
      await stack.restart('agent-0')
      await works()
    }
  })

  test('R EFBIG: write(2) fails in the middle of a record', async () => {
    const session = await openSession()
    // The limit is the process': the spool must be its largest file.
    await eventually(async () => {
      session.send(`SELECT length('${'x'.repeat(60_000)}');\n\\echo grown\n`)
      await session.seen(/grown/)
      return newestSegment().size > statSync(agent().log).size + 400_000
    }, 'the spool is larger than the log')
    // Ends of commands are written a moment after them.
    const { size } = await eventually(async () => {
      const before = newestSegment()
      await new Promise((resolve) => setTimeout(resolve, 100))
      return newestSegment().size === before.size && before
    }, 'nothing is written any more')
    execFileSync('prlimit', ['--pid', String(ready().pid), `--fsize=${size + 100}`])
    session.stdout = ''
    await refusesAll(session, 'too-big', 'unwritable')
    session.end()
    // Half a record is there: what the kernel took before it refused.
    expect(newestSegment().size).toBe(size + 100)
    process.kill(ready().pid, 'SIGKILL')
    await stack.restart('agent-0')
    await goesOn('too-big')
  })
})

function newestSegment(): { name: string; size: number } {
  const name = readdirSync(spool()).filter((file) => file.endsWith('.spool')).sort().at(-1) ?? ''
  return { name, size: statSync(path.join(spool(), name)).size }
}
