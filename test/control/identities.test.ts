import { spawn } from 'node:child_process'
import { cpSync, readFileSync, readdirSync, statSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { enrol } from '@sallyport/node-identity'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Client, psql, psqlSession } from '../support/client.js'
import { direct, eventually } from '../support/direct.js'
import { Stack, type Exchange } from '../support/stack.js'

/** Who may do what at the control plane, against people and machines with real but wrong proofs. */
let stack: Stack
const secrets: string[] = []

beforeAll(async () => {
  stack = await Stack.start({ gateways: 2, env: { SALLYPORT_LOG_LEVEL: 'debug' } })
})

afterAll(async () => {
  await stack?.stop()
})

const root = path.resolve(import.meta.dirname, '../..')

async function userWithToken(name: string, spec: string): Promise<string> {
  const text = `apiVersion: sallyport.dev/v1\nkind: User\nmetadata: { name: ${name} }\nspec: ${spec}\n`
  const applied = await stack.api('POST', '/v1/apply', { documents: [{ path: `${name}.yaml`, text }] })
  expect({ status: applied.status, body: JSON.stringify(applied.body).slice(0, 300) }).toMatchObject({ status: 200 })
  const { status, body } = await stack.api('POST', '/v1/tokens', { user: name, name: 'test' })
  expect(status).toBe(201)
  secrets.push(body.token)
  return body.token
}

async function held(sql: string, claims: Record<string, unknown> = {}): Promise<{ id: string; session: ReturnType<typeof psqlSession> }> {
  const token = await stack.mint(claims)
  secrets.push(token)
  const session = psqlSession(await stack.pgEnv({ token }))
  session.send(`${sql};\n`)
  await session.seen(/waits for approval/)
  const id = await eventually(async () => {
    const { body } = await stack.api('GET', '/v1/approvals?state=pending')
    return body.items.find((item: { text: string }) => item.text.includes(sql))?.id
  }, 'the hold is listed')
  return { id, session }
}

describe('C nodes', () => {
  test('C an enrolment token is good once, also when two use it at the same moment', async () => {
    const { body } = await stack.api('POST', '/v1/agents/tokens', { name: 'raced', kind: 'agent' })
    secrets.push(body.token)
    const endpoint = `127.0.0.1:${stack.line.gateways[0]?.tunnelPort}`
    const tries = await Promise.allSettled([1, 2, 3, 4].map((n) => enrol({ endpoint, token: body.token, kind: 'agent', dataDir: path.join(stack.line.dataDir, `raced-${n}`) })))
    expect(tries.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
    await expect(enrol({ endpoint, token: body.token, kind: 'agent', dataDir: path.join(stack.line.dataDir, 'raced-later') })).rejects.toThrow(/refused/)
    expect((await stack.api('GET', '/v1/agents')).body.items.filter((node: { name: string }) => node.name === 'raced')).toHaveLength(1)
    await eventually(async () => (await stack.events('kind=alert&text=ENROLMENT_TOKEN_REUSED'))[0], 'the reuse is told')
    // An agent's token makes no gateway: who holds it must not get a certificate that agents trust.
    const second = await stack.api('POST', '/v1/agents/tokens', { name: 'not-a-gateway', kind: 'agent' })
    await expect(enrol({ endpoint, token: second.body.token, kind: 'gateway', hostnames: ['localhost'], dataDir: path.join(stack.line.dataDir, 'not-a-gateway') })).rejects.toThrow()
  })

  test('C a second process with a copied data directory is refused and told, and the first one works on', async () => {
    const agent = stack.line.agents[0]
    if (!agent) throw new Error('no agent')
    const copy = path.join(stack.line.dataDir, 'copied-agent')
    cpSync(agent.dataDir, copy, { recursive: true })
    const thief = spawn(process.execPath, [path.join(root, 'apps/agent/dist/main.js')], {
      env: {
        PATH: process.env['PATH'] ?? '',
        SALLYPORT_AGENT_DATA_DIR: copy,
        SALLYPORT_AGENT_GATEWAYS: stack.line.gateways.map((gateway) => `127.0.0.1:${gateway.tunnelPort}`).join(','),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    thief.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
    try {
      await eventually(async () => /gateway refused this agent/.test(said), 'the copy is refused')
      await eventually(async () => (await stack.events('kind=alert&text=DUPLICATE_AGENT'))[0], 'the copy is told')
      expect((await psql(await stack.pgEnv(), 'SELECT 1')).code).toBe(0)
      expect((await psql(await stack.pgEnv({ gateway: 1 }), 'SELECT 1')).code).toBe(0)
    } finally {
      const exited = new Promise((resolve) => thief.once('exit', resolve))
      thief.kill('SIGKILL')
      await exited
    }
  })
})

describe('I tokens', () => {
  test('I a valid token of another repository, of look-alike claims, or of another issuer gets nothing', async () => {
    for (const claims of [
      { repository: 'evil/shop' },
      { repository: 'acme/shop/../../evil/x' },
      { repository: 'acme/shop\u200b' },
      { repository: 'acme/sh\u043ep' },
      { repository: 'ACME/SHOP' },
      { repository: ' acme/shop' },
      { repository: { toString: 'acme/shop' } },
      { repository: undefined, Repository: 'acme/shop' },
      { iss: 'http://127.0.0.1.evil.example' },
      { aud: 'sallyport.evil' },
      { exp: 1 },
      { nbf: Math.floor(Date.now() / 1000) + 3600 },
    ]) {
      await expect(stack.exchange({}, await stack.mint(claims)), JSON.stringify(claims)).rejects.toThrow()
    }
    const good = await stack.mint()
    const [header = '', payload = '', signature = ''] = good.split('.')
    const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid: string }
    for (const forged of [
      `${encoded({ alg: 'none', kid })}.${payload}.`,
      `${encoded({ alg: 'HS256', kid })}.${payload}.${signature}`,
      `${encoded({ alg: 'RS256', kid, jku: 'http://127.0.0.1:1/jwks' })}.${payload}.${signature}`,
      `${encoded({ alg: 'RS256', kid: '../../etc/passwd' })}.${payload}.${signature}`,
      `${header}.${encoded({ ...JSON.parse(Buffer.from(payload, 'base64url').toString()), sub: 'x' })}.${signature}`,
      'a'.repeat(20_000),
    ]) {
      await expect(stack.exchange({}, forged)).rejects.toThrow()
    }
  })

  test('I a stolen single-use credential opens one session, however many try at once', async () => {
    const credential = await stack.exchange({ single_use: true })
    secrets.push(credential.access_token)
    const env = await stack.pgEnv({ token: credential.access_token, env: { PGUSER: credential.username, PGDATABASE: 'orders' } })
    const tries = await Promise.all([0, 1, 0, 1].map((gateway) => psql({ ...env, PGPORT: String(stack.line.gateways[gateway]?.postgresPort) }, 'SELECT 1')))
    expect(tries.filter((result) => result.code === 0)).toHaveLength(1)
  })

  test('I revoking a credential ends its sessions on both gateways within two seconds', async () => {
    const credential: Exchange = await stack.exchange()
    secrets.push(credential.access_token)
    const sessions = await Promise.all(
      [0, 1].map(async (gateway) => psqlSession(await stack.pgEnv({ gateway, token: credential.access_token, env: { PGUSER: credential.username, PGDATABASE: 'orders' } }))),
    )
    for (const session of sessions) {
      session.send("SELECT 'ready';\n")
      await session.seen(/ready/)
    }
    const begun = Date.now()
    // By its holder, without an API token; a wrong secret revokes nothing.
    expect((await stack.api('DELETE', `/v1/credentials/${credential.credential_id}`, undefined, `spc_${'A'.repeat(43)}`)).status).toBe(401)
    expect((await stack.api('DELETE', `/v1/credentials/${credential.credential_id}`, undefined, credential.access_token)).status).toBe(204)
    for (const session of sessions) session.send('SELECT 1 \\watch 0.1\n')
    await Promise.all(sessions.map((session) => session.exited))
    expect(Date.now() - begun).toBeLessThan(2500)
  })
})

describe('C members', () => {
  test('C a member sees and touches nothing of others, and makes itself no more than it is', async () => {
    const mallory = await userWithToken('mallory', '{ roles: [member] }')
    const { id, session } = await held("UPDATE orders SET status = 'idor' WHERE id = 5")
    const [live] = (await stack.api('GET', '/v1/sessions?state=live')).body.items
    const [credential] = (await stack.api('GET', '/v1/credentials')).body.items
    const token = (await stack.api('GET', '/v1/tokens')).body.items.find((item: { user: string }) => item.user === 'dana')
    const asMallory = (method: string, route: string, body?: unknown) => stack.api(method, route, body, mallory)
    for (const [method, route, body] of [
      ['GET', `/v1/sessions/${live.id}`],
      ['GET', `/v1/sessions/${live.id}/events`],
      ['POST', `/v1/sessions/${live.id}/kill`, { reason: 'x' }],
      ['GET', `/v1/approvals/${id}`],
      ['POST', `/v1/approvals/${id}/approve`, {}],
      ['POST', `/v1/approvals/${id}/reject`, { reason: 'x' }],
      ['DELETE', `/v1/credentials/${credential.id}`],
      ['DELETE', `/v1/tokens/${token.id}`],
      ['POST', '/v1/tokens', { user: 'ada', name: 'x' }],
      ['POST', '/v1/tokens', { user: 'mallory', name: 'x' }],
      ['GET', '/v1/events'],
      ['GET', '/v1/audit/verify'],
      ['GET', '/v1/users'],
      ['POST', '/v1/agents/tokens', { name: 'mine', kind: 'gateway' }],
      ['POST', '/v1/apply', { documents: [] }],
    ] as const) {
      expect((await asMallory(method, route, body)).status, `${method} ${route}`).toBeOneOf([403, 404])
    }
    for (const route of ['/v1/sessions', '/v1/credentials', '/v1/approvals', '/v1/sessions?identity=shop-ci', '/v1/credentials?identity=shop-ci', `/v1/approvals?session=${live.id}`]) {
      expect((await asMallory('GET', route)).body.items, route).toEqual([])
    }
    for (const more of [{ identity: 'ada' }, { identity: { kind: 'workload', name: 'shop-ci' } }, { user: 'ada' }, { groups: ['dba'] }, { claims: {} }]) {
      expect((await asMallory('POST', '/v1/credentials', { target: 'orders-db', ...more })).status).toBe(400)
    }
    // No policy names mallory.
    expect((await asMallory('POST', '/v1/credentials', { target: 'orders-db' })).status).toBe(403)

    const stream = await fetch(`${stack.line.api.url}/v1/approvals/stream`, { headers: { authorization: `Bearer ${mallory}` } })
    const reader = stream.body?.getReader()
    expect((await stack.api('POST', `/v1/approvals/${id}/reject`, { reason: 'no' }, stack.token('dana'))).status).toBe(200)
    await session.seen(/rejected/)
    let seen = ''
    const deadline = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 1000))
    for (;;) {
      const chunk = await Promise.race([reader?.read(), deadline])
      if (!chunk || chunk.done) break
      seen += Buffer.from(chunk.value).toString()
    }
    await reader?.cancel()
    expect(seen).not.toContain(id)
    session.end()
    await session.exited
  })

  test('C the body of a large request is not read before its sender is known', async () => {
    const { hostname, port } = new URL(stack.line.api.url)
    const socket = net.connect(Number(port), hostname)
    let answer = ''
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
    socket.write('POST /v1/apply HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 7000000\r\n\r\n{')
    await eventually(async () => answer.startsWith('HTTP/1.1 401'), 'it is refused at once', 5000)
    socket.destroy()
  })

  test('A the person behind a run can not approve it, under any of their names', async () => {
    const spec = '{ email: Oscar@Example.com, roles: [reviewer], groups: [dba], aliases: { github: Octo-Oscar, gitlab_id: "4711" } }'
    const oscar = await userWithToken('oscar', spec)
    for (const [n, claims] of [
      { actor: 'octo-oscar' },
      { actor: 'OSCAR' },
      { actor: 'oscar\u200b' },
      { actor: '\uff4f\uff53\uff43\uff41\uff52' },
      { actor: 'bot', user_email: 'oscar@example.com' },
      { actor: 'bot', user_id: '4711' },
      { actor: 'bot', user_login: 'octo-oscar' },
    ].entries()) {
      const { id, session } = await held(`UPDATE orders SET status = 'self-${n}' WHERE id = 6`, claims)
      const { status, body } = await stack.api('POST', `/v1/approvals/${id}/approve`, {}, oscar)
      expect({ claims, status, code: body.code }).toMatchObject({ status: 403, code: 'SELF_APPROVAL' })
      session.kill('SIGKILL')
      await session.exited
    }
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status LIKE 'self-%'")).toEqual([])
  })

  test('A of several that decide at the same moment one counts, and nothing runs twice', async () => {
    const { id, session } = await held("UPDATE orders SET status = status || 'x' WHERE id = 7")
    const votes = await Promise.all([
      ...Array.from({ length: 5 }, () => stack.api('POST', `/v1/approvals/${id}/approve`, {}, stack.token('dana'))),
      ...Array.from({ length: 5 }, () => stack.api('POST', `/v1/approvals/${id}/reject`, { reason: 'x' }, stack.token('dana'))),
    ])
    expect(votes.filter((vote) => vote.status === 200)).toHaveLength(1)
    const decided = await eventually(async () => {
      const events = await stack.events(`kind=approval.decided&text=${id}`)
      return events.length > 0 && events
    }, 'it is decided')
    expect(decided).toHaveLength(1)
    session.end()
    await session.exited
  })
})

describe('C secrets', () => {
  test('C no secret of this run stands in a log, an event, a command line or a file that others may read', async () => {
    const agent = stack.line.agents[0]
    const logs = readdirSync(stack.line.logsDir).map((name) => readFileSync(path.join(stack.line.logsDir, name), 'utf8')).join('\n')
    const events: string[] = []
    for (let cursor = ''; ; ) {
      const { body } = await stack.api('GET', `/v1/events?limit=200${cursor}`)
      events.push(JSON.stringify(body.items))
      if (body.next === undefined) break
      cursor = `&cursor=${body.next}`
    }
    const commandLines = [stack.line.pids.api, ...stack.line.pids.gateway, ...stack.line.pids.agent].map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8')).join('\n')
    const password = new URL(stack.target.directUrl).password
    const all = [...secrets, stack.line.api.adminToken, stack.token('dana'), ...(password === '' ? [] : [password])]
    for (const secret of all) {
      // The last part of a JWT is its signature: whoever has that has the token.
      const telling = secret.split('.').at(-1) ?? secret
      for (const [where, text] of Object.entries({ logs, events: events.join(), commandLines })) expect(text.includes(telling), `${where}: ${secret.slice(0, 12)}…`).toBe(false)
    }
    // Statements of the control plane (which key is a node's, what was deleted) are there to be read; they let nobody in.
    const isStatement = (jws: string): boolean => /"typ":"(node-key|audit-deletion)\+jwt"/.test(Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString())
    const shown = events.join().replaceAll(/eyJhbGciOi[\w-]+\.[\w-]+\.[\w-]+/g, (jws) => (isStatement(jws) ? '' : jws))
    for (const pattern of [/PRIVATE KEY/, /eyJhbGciOi[\w-]+\.[\w-]+\.[\w-]+/, /spc_[\w-]{20}/, /spt_[0-9a-f]{20}_[\w-]{20}/]) {
      expect(logs).not.toMatch(pattern)
      expect(shown).not.toMatch(pattern)
    }
    const readable: string[] = []
    const walk = (directory: string): void => {
      for (const entry of readdirSync(directory, { withFileTypes: true })) {
        const file = path.join(directory, entry.name)
        if (entry.isDirectory()) walk(file)
        else if (/key|token|secret|master|spool$/i.test(entry.name) && (statSync(file).mode & 0o077) !== 0) readable.push(file)
      }
    }
    for (const directory of [path.join(stack.line.dataDir, 'tokens'), agent?.dataDir ?? '', path.join(stack.line.dataDir, 'gateway-0')]) walk(directory)
    for (const name of readdirSync(path.join(stack.line.dataDir, 'api'))) {
      const mode = statSync(path.join(stack.line.dataDir, 'api', name)).mode
      if (/key|token/i.test(name) && (mode & 0o077) !== 0) readable.push(name)
    }
    expect(readable).toEqual([])
  })
})

/** The control plane's own database, past the control plane. */
async function database(sql: string): Promise<void> {
  const directory = path.join(stack.line.dataDir, 'api')
  const port = Number(readFileSync(path.join(directory, 'postgres/postmaster.pid'), 'utf8').split('\n')[3])
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'sallyport', database: 'postgres', password: readFileSync(path.join(directory, 'postgres-password'), 'utf8').trim() })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

// Last: it breaks the chain for good.
describe('R the chain', () => {
  test('R `sallyport audit verify` passes before and names the record that was changed in the database', async () => {
    const verify = async () => {
      const [command = '', ...args] = stack.line.cli.argv
      const client = new Client(command, [...args, 'audit', 'verify'], { PATH: process.env['PATH'] ?? '', HOME: stack.line.dataDir, ...stack.line.cli.env })
      const code = await client.exited
      return { code, said: client.stdout + client.stderr }
    }
    expect(await verify()).toMatchObject({ code: 0 })
    const [event] = await stack.events('kind=approval.decided')
    await database(`UPDATE event SET body = replace(body, 'approval.decided', 'approval.decideD') WHERE "position" = ${event.position}`)
    const changed = await verify()
    expect(changed.code).not.toBe(0)
    expect(changed.said).toMatch(new RegExp(`\\b${event.position}\\b`))
    expect(changed.said).toMatch(/changed/)
  })
})
