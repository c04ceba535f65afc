import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { conformanceCases, type ConformanceClient, type ConformanceDriver, type Outcome } from '@sallyport/kit/conformance'
import { afterAll, beforeAll, test } from 'vitest'
import { psql } from '../support/client.js'
import { direct, eventually } from '../support/direct.js'
import { message, RawClient, type ServerMessage } from '../support/raw-client.js'
import { Stack } from '../support/stack.js'

let stack: Stack

beforeAll(async () => {
  stack = await Stack.start()
})

afterAll(async () => {
  await stack.stop()
})

class PostgresClient implements ConformanceClient {
  #key: Buffer = Buffer.alloc(0)
  #told = ''

  private constructor(private readonly raw: RawClient) {}

  static async connect(): Promise<PostgresClient> {
    const raw = await RawClient.connect(stack)
    await raw.startTls(stack)
    const { startup } = await import('../support/raw-client.js')
    raw.write(startup({ user: stack.target.name, database: 'orders' }))
    await raw.until('R')
    raw.write(message('p', `${await stack.mint()}\0`))
    const client = new PostgresClient(raw)
    client.#key = (await raw.until('Z', 20_000)).find((item) => item.type === 'K')?.body ?? Buffer.alloc(0)
    return client
  }

  run(command: string): Promise<Outcome> {
    return this.start(command)
  }

  async start(command: string): Promise<Outcome> {
    this.#told = ''
    this.raw.query(command)
    const messages = await this.raw.until('Z', 60_000)
    const error = messages.find((item) => item.type === 'E')
    return { ok: error === undefined, output: text(messages), ...(error ? { code: /C([0-9A-Z]{5})\0/.exec(error.body.toString('latin1'))?.[1] ?? '' } : {}) }
  }

  async told(): Promise<string> {
    await eventually(async () => {
      const notice = this.raw.messages.find((item) => item.type === 'N')
      if (notice) this.#told = notice.body.toString()
      return this.#told !== ''
    }, 'a notice')
    return this.#told
  }

  async cancel(): Promise<void> {
    const cancel = await RawClient.connect(stack)
    cancel.write(Buffer.concat([Buffer.from([0, 0, 0, 16, 4, 210, 22, 46]), this.#key]))
    await cancel.ended()
  }

  stopReading(): void {
    this.raw.socket.pause()
  }

  async violate(): Promise<void> {
    this.raw.write(message('y', 'what'))
  }

  async ended(): Promise<void> {
    await this.raw.ended(30_000)
  }

  destroy(): void {
    this.raw.destroy()
  }
}

function text(messages: readonly ServerMessage[]): string {
  return messages.map((item) => item.body.toString('utf8')).join('\n')
}

const secret = '078-05-1120'
let nextId = 990_000
const ids = new Map<string, number>()

const driver: ConformanceDriver = {
  protocol: 'postgres',
  secret,
  connect: () => PostgresClient.connect(),
  commands: {
    allowed: (marker) => `SELECT '${marker}'`,
    denied: (marker) => `INSERT INTO customers (id, name) VALUES (${(nextId += 1)}, '${marker}')`,
    held: (marker) => {
      const id = (nextId += 1)
      ids.set(marker, id)
      return `UPDATE orders SET status = status || '+${marker}' WHERE id = 1`
    },
    masked: (marker) => `SELECT '${marker}', ssn FROM customers WHERE id = 1`,
    leakingError: (marker) => `SELECT '${marker}', ssn::int FROM customers WHERE id = 1`,
    endless: (marker) => `SELECT '${marker}', count(*) FROM generate_series(1, 4000000000)`,
    large: (marker) => `SELECT '${marker}', repeat('x', 1000) FROM generate_series(1, 50000)`,
  },
  async effects(marker) {
    const [orders] = await direct<{ status: string }>(stack, 'SELECT status FROM orders WHERE id = 1')
    const customers = await direct(stack, 'SELECT 1 FROM customers WHERE name = $1', [marker])
    return (orders?.status ?? '').split(`+${marker}`).length - 1 + customers.length
  },
  async running(marker) {
    return (await direct(stack, "SELECT 1 FROM pg_stat_activity WHERE query LIKE $1 AND state = 'active' AND pid <> pg_backend_pid()", [`%${marker}%`])).length > 0
  },
  async recorded(marker) {
    const [command] = await stack.events(`kind=command&text=${marker}`)
    if (!command) return undefined
    const ends = await stack.events(`kind=command.end&session=${command.session}`)
    const end = ends.find((event) => bodyOf(event).command === bodyOf(command).command)
    return {
      decision: command.decision,
      rule: command.rule,
      text: JSON.stringify([command, end]),
      ...(end ? { end: bodyOf(end).status, masked: bodyOf(end).masked } : {}),
    }
  },
  async spooled(marker) {
    const spool = path.join(stack.line.agents[0]?.dataDir ?? '', 'spool')
    return readdirSync(spool).filter((name) => name.endsWith('.spool')).some((name) => readFileSync(path.join(spool, name)).includes(marker))
  },
  pending: (marker) =>
    eventually(async () => {
      const { body } = await stack.api('GET', '/v1/approvals?state=pending')
      return body.items.find((item: { text: string }) => item.text.includes(marker))?.id as string | undefined
    }, 'a pending approval'),
  async approve(approval) {
    const { status, body } = await stack.api('POST', `/v1/approvals/${approval}/approve`, {}, stack.token('dana'))
    if (status >= 300) throw new Error(JSON.stringify(body))
  },
  async reject(approval, reason) {
    await stack.api('POST', `/v1/approvals/${approval}/reject`, { reason }, stack.token('dana'))
  },
  async approvalState(approval) {
    return (await stack.api('GET', `/v1/approvals/${approval}`)).body.state
  },
  async killAgent() {
    for (const pid of stack.line.pids.agent) process.kill(pid, 'SIGKILL')
  },
  async restartAgent() {
    await stack.restart('agent-0')
    await eventually(async () => (await psql(await stack.pgEnv(), 'SELECT 1')).code === 0, 'a session can be opened', 30_000)
  },
  async chainProblem() {
    const { ok, first_bad: bad } = (await stack.api('GET', '/v1/audit/verify')).body
    return ok === true ? undefined : JSON.stringify(bad ?? 'no answer')
  },
  async memory() {
    return [...stack.line.pids.gateway, ...stack.line.pids.agent].reduce((sum, pid) => sum + 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0), 0)
  },
}

function bodyOf(event: any): any {
  return event.event ?? event.body?.event ?? event.body ?? event
}

beforeAll(async () => {
  await direct(stack, 'UPDATE customers SET ssn = $1 WHERE id = 1', [secret])
})

for (const one of conformanceCases(driver)) {
  if (one.excluded !== undefined) test.skip(`${one.name} (excluded: ${one.excluded})`, () => undefined)
  else test(one.name, () => one.run(driver))
}
