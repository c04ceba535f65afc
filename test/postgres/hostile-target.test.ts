import path from 'node:path'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { direct, eventually } from '../support/direct.js'
import { HostileTarget, trigger, type Tamper } from '../support/hostile-target.js'
import { leaked, markers, where } from '../support/leak-corpus.js'
import { bind, errorOf, execute, message, parse, RawClient, startup, sync, type ServerMessage } from '../support/raw-client.js'
import { Stack } from '../support/stack.js'

/*
 * P15: the target itself is hostile or broken. Whatever it sends, its own session ends with a clear error (or goes on under its masks),
 * the agent lives, other sessions notice nothing, and the target never gets a weaker proof of the password than its document allows.
 */

let stack: Stack
let target: HostileTarget
/** A session with the honest target that is open all the time. */
let witness: RawClient

beforeAll(async () => {
  stack = await Stack.start()
  await direct(stack, `UPDATE customers SET ssn = '${markers.ssn}', card_number = '${markers.card}' ${where}`)
  target = await HostileTarget.start(Number(new URL(stack.target.superuserUrl).port))
  const policy = readFileSync(path.resolve(import.meta.dirname, '../../examples/demo/policy.yaml'), 'utf8').replace('names: [orders-db]', 'names: [orders-db, evil-db]')
  const document = `apiVersion: sallyport.dev/v1
kind: Target
metadata: { name: evil-db }
spec:
  protocol: postgres
  agents: { labels: { site: demo } }
  postgres: { host: 127.0.0.1, port: ${target.port}, database: orders, user: sallyport_agent, password: "env:ORDERS_DB_PASSWORD", tls: { mode: disable } }
`
  const { status, body } = await stack.api('POST', '/v1/apply', { documents: [{ path: 'policy.yaml', text: policy }, { path: 'evil.yaml', text: document }] })
  expect({ status, body: JSON.stringify(body).slice(0, 500) }).toMatchObject({ status: 200 })
  witness = await RawClient.login(stack)
})

afterAll(async () => {
  witness?.destroy()
  target?.stop()
  await stack?.stop()
})

/** A session with the hostile target, up to ReadyForQuery or to the end. */
async function login(): Promise<RawClient> {
  const client = await RawClient.connect(stack)
  await client.startTls(stack)
  client.write(startup({ user: 'evil-db', database: 'orders' }))
  await client.until('R')
  client.write(message('p', `${await stack.mint()}\0`))
  return client
}

async function ready(): Promise<RawClient> {
  const client = await login()
  await client.until('Z')
  return client
}

async function othersGoOn(): Promise<void> {
  witness.query("SELECT 'fine'")
  expect((await witness.until('Z')).find((item) => item.type === 'D')?.body.toString()).toContain('fine')
  process.kill(stack.line.pids.agent[0] ?? 0, 0)
}

const bytesOf = (messages: readonly ServerMessage[]): Buffer => Buffer.concat(messages.map((item) => Buffer.concat([Buffer.from(item.type), item.body])))
const int16 = (value: number): Buffer => Buffer.from([(value >> 8) & 255, value & 255])
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}
const claimed = (type: string, length: number, body = ''): Buffer => Buffer.concat([Buffer.from(type), int32(length), Buffer.from(body)])
const dataRow = (...values: readonly string[]): Buffer =>
  message('D', Buffer.concat([int16(values.length), ...values.flatMap((value) => [int32(Buffer.byteLength(value)), Buffer.from(value)])]))
const field = (name: string, table = 0, attribute = 0, type = 25): Buffer =>
  Buffer.concat([Buffer.from(`${name}\0`), int32(table), int16(attribute), int32(type), int16(0xffff), int32(0xffffffff), int16(0)])
const described = (...fields: readonly Buffer[]): Buffer => message('T', Buffer.concat([int16(fields.length), ...fields]))
const parameter = (name: string, value: string): Buffer => message('S', `${name}\0${value}\0`)
const notice = (text: string): Buffer => message('N', `SNOTICE\0VNOTICE\0C00000\0M${text}\0\0`)

/** In place of the first message of this type; what comes behind is as it was. */
const instead = (type: string, bytes: Buffer): Tamper => {
  let done = false
  return (item) => {
    if (done || item.type !== type) return undefined
    done = true
    return bytes
  }
}
const original = (item: { type: string; body: Buffer }): Buffer => message(item.type, item.body)
const before = (type: string, bytes: Buffer): Tamper => {
  let done = false
  return (item) => {
    if (done || item.type !== type) return undefined
    done = true
    return Buffer.concat([bytes, original(item)])
  }
}
const after = (type: string, bytes: Buffer): Tamper => (item) => (item.type === type ? Buffer.concat([original(item), bytes]) : undefined)

const sql = `SELECT ssn, card_number FROM customers ${where} ${trigger}`
const simple = message('Q', `${sql}\0`)
const extended = Buffer.concat([parse('', sql), bind('', ''), message('D', 'P\0'), execute(''), sync])

/** Sends the statement and gathers what comes to the end of the connection. */
async function fatal(tamper: Tamper, bytes: Buffer): Promise<{ error: Record<string, string>; all: Buffer }> {
  target.attack(tamper)
  const client = await ready()
  client.write(bytes)
  const messages = await client.ended()
  return { error: errorOf(messages), all: bytesOf(messages) }
}

const broken: readonly (readonly [string, Tamper])[] = [
  ['a length of 3', instead('D', claimed('D', 3))],
  ['a length of 0', instead('D', claimed('D', 0))],
  ['a length of 2^31', instead('D', claimed('D', 0x80000000))],
  ['a length of 2^32-1', instead('D', claimed('D', 0xffffffff))],
  ['a field above the cap', instead('D', claimed('D', 70 * 1024 * 1024))],
  ['a row description of 1 GiB', instead('T', claimed('T', 0x40000000))],
  ['a row shorter than it says', instead('D', message('D', Buffer.concat([int16(2), int32(900), Buffer.from(markers.ssn)])))],
  ['a negative field length', instead('D', message('D', Buffer.concat([int16(2), int32(0xfffffffe), int32(0xffffffff)])))],
  ['a row with bytes behind it', instead('D', message('D', Buffer.concat([dataRow('a', 'b').subarray(5), Buffer.from(markers.ssn)])))],
  ['a row with a column more than described', instead('D', dataRow('a', 'b', markers.ssn))],
  ['a row with a column less', instead('D', dataRow(markers.ssn))],
  ['rows without a description', instead('T', Buffer.alloc(0))],
  ['a row after CommandComplete', after('C', dataRow(markers.ssn, markers.card))],
  ['a row after ReadyForQuery', after('Z', dataRow(markers.ssn, markers.card))],
  ['a row description that promises more', instead('T', message('T', Buffer.concat([int16(3), field('a')])))],
  ['a row description without its NUL', instead('T', message('T', Buffer.concat([int16(1), Buffer.from('a')])))],
  ['AuthenticationCleartextPassword in the session', before('D', message('R', int32(3)))],
  ['AuthenticationOk in the session', before('D', message('R', int32(0)))],
  ['BackendKeyData', before('D', message('K', Buffer.concat([int32(1), int32(2)])))],
  ['FunctionCallResponse', before('D', message('V', Buffer.concat([int32(9), Buffer.from(markers.ssn)])))],
  ['CopyInResponse', before('D', message('G', Buffer.from([0, 0, 1, 0, 0])))],
  ['CopyOutResponse with data', before('D', Buffer.concat([message('H', Buffer.from([0, 0, 1, 0, 0])), message('d', `${markers.ssn}\n`)]))],
  ['CopyBothResponse', before('D', message('W', Buffer.from([0, 0, 1, 0, 0])))],
  ['CopyData that nobody asked for', before('D', message('d', `${markers.ssn}\n`))],
  ['a second ReadyForQuery', after('Z', message('Z', 'I'))],
  ['ReadyForQuery with another status', instead('Z', message('Z', 'X'))],
  ['an unknown type', before('D', message('y', markers.ssn))],
  ['a NUL type', before('D', Buffer.from([0, 0, 0, 0, 4]))],
  ['NegotiateProtocolVersion', before('D', message('v', Buffer.concat([int32(0), int32(0)])))],
  ['a message of its own before the next statement', after('Z', message('C', 'SELECT 1\0'))],
  ['client_encoding set to SJIS', before('D', parameter('client_encoding', 'SJIS'))],
  ['client_encoding set in capitals', before('T', parameter('CLIENT_ENCODING', 'LATIN1'))],
  ['standard_conforming_strings turned off', before('D', parameter('standard_conforming_strings', 'off'))],
]

describe('P15 a target that breaks the protocol', () => {
  test.each(broken)('P15 %s', async (_name, tamper) => {
    const { error, all } = await fatal(tamper, simple)
    expect(error).toMatchObject({ S: 'FATAL', C: expect.stringMatching(/^(08P01|08006|22023|22021)$/) })
    expect(error['M']).toMatch(/^Sallyport: the target broke the protocol: ./)
    expect(leaked(all)).toBeUndefined()
    await eventually(async () => target.last.closed, 'its connection is closed')
    await othersGoOn()
  })

  const inBatch: readonly (readonly [string, Tamper])[] = [
    ['BindComplete twice', after('2', message('2'))],
    ['ParseComplete never', instead('1', Buffer.alloc(0))],
    ['NoData, and then rows', instead('T', message('n'))],
    ['a row before its Execute', before('T', dataRow(markers.ssn, markers.card))],
    ['a row description behind the rows', after('D', described(field('a'), field('b')))],
  ]
  test.each(inBatch)('P15 extended: %s', async (_name, tamper) => {
    const { error, all } = await fatal(tamper, extended)
    expect(error).toMatchObject({ S: 'FATAL', C: '08P01' })
    expect(leaked(all)).toBeUndefined()
    await othersGoOn()
  })
})

describe('P15 a target that lies about what it sends', () => {
  /** Under its masks, or an end of the session; never the value. */
  async function masked(tamper: Tamper, bytes: Buffer = simple): Promise<Buffer> {
    target.attack(tamper)
    const client = await ready()
    client.write(bytes)
    const messages = await client.until('Z').catch(() => client.messages)
    client.destroy()
    return bytesOf(messages)
  }

  test.each([
    ['columns said to be computed', described(field('a'), field('b'))],
    ['columns said to be those of another table', described(field('name', 1, 1), field('status', 1, 2))],
    ['columns said to be numbers', described(field('id', 0, 0, 23), field('id', 0, 0, 20))],
    ['columns said to be binary', described(Buffer.concat([field('ssn').subarray(0, -2), int16(1)]), Buffer.concat([field('card').subarray(0, -2), int16(1)]))],
  ])('P15 %s', async (_name, description) => {
    const all = await masked(instead('T', description))
    expect(leaked(all)).toBeUndefined()
    expect(all.includes('D')).toBe(true)
    await othersGoOn()
  })

  test('P15 a column more than the statement has: all are masked', async () => {
    const tamper: Tamper = (item) => {
      if (item.type === 'T') return described(field('a'), field('b'), field('c'))
      return item.type === 'D' ? dataRow(markers.ssn, markers.card, markers.ssn) : undefined
    }
    const all = await masked(tamper)
    expect(leaked(all)).toBeUndefined()
    expect(all.toString('latin1').split('[redacted]')).toHaveLength(4)
  })

  test('P15 K5 notices and errors that quote the row, in whatever field', async () => {
    const noticeOf = (code: string): Buffer => message('N', `SWARNING\0VWARNING\0C${code}\0Mvalue ${markers.ssn}\0D${markers.card}\0H${markers.ssn}\0W${markers.ssn}\0q${markers.ssn}\0\0`)
    for (const code of ['00000', '01000', '22P02', 'XX000', '57P01', '42501']) {
      // Codes whose messages hold no values are shown as they are, from an honest server: this one lies.
      const all = await masked(before('C', noticeOf(code)))
      if (code !== '57P01' && code !== '42501') expect({ code, leaked: leaked(all) }).toEqual({ code, leaked: undefined })
    }
    const failure = message('E', `SERROR\0VERROR\0C22P02\0Minvalid input syntax for type integer: "${markers.ssn}"\0DFailing row contains (${markers.card}).\0\0`)
    expect(leaked(await masked(instead('D', failure)))).toBeUndefined()
  })

  test('P15 K6 ParameterStatus, NotificationResponse and CommandComplete are read for secrets', async () => {
    const card = '4111111111111111'
    const notification = message('A', Buffer.concat([int32(7), Buffer.from(`channel\0paid with ${card}\0`)]))
    const all = await masked(before('C', Buffer.concat([parameter('application_name', `x ${card}`), notification])))
    const text = all.toString('latin1')
    expect(text).toContain('application_name')
    expect(text).toContain('paid with')
    expect(text).not.toContain(card)
  })

  test('P15 K6 a CommandComplete that carries a value', async () => {
    for (const tag of [`SELECT 1 ${markers.ssn}`, markers.ssn, `SELECT 4111111111111111 ${markers.card}`]) {
      expect({ tag, leaked: leaked(await masked(instead('C', message('C', `${tag}\0`)))) }).toEqual({ tag, leaked: undefined })
    }
  })
})

describe('P15 a target that never ends', () => {
  test.each([
    ['notices', notice('x'.repeat(1000))],
    ['parameter changes', parameter('application_name', 'x'.repeat(1000))],
    ['notifications', message('A', Buffer.concat([int32(7), Buffer.from(`c\0${'x'.repeat(1000)}\0`)]))],
  ])('P15 endless %s: nothing piles up, the client can leave, others go on', async (_name, bytes) => {
    const flood = Buffer.concat(Array.from({ length: 64 }, () => bytes))
    let sent = 0
    const tamper: Tamper = (item, connection) => {
      if (item.type !== 'C') return undefined
      const more = (): void => {
        while (!connection.closed) {
          sent += flood.length
          if (!connection.agent.write(flood)) return void connection.agent.once('drain', more)
        }
      }
      more()
      return flood
    }
    target.attack(tamper)
    const client = await ready()
    const memory = residentBytes()
    client.write(simple)
    await client.until('D')
    // A client that doesn't read: the flood must stop at the windows, not in memory.
    client.socket.pause()
    await eventually(async () => {
      const before = sent
      await new Promise((resolve) => setTimeout(resolve, 500))
      return sent === before
    }, 'the flood is held up')
    expect(residentBytes() - memory).toBeLessThan(120 * 1024 * 1024)
    await othersGoOn()
    client.destroy()
    await eventually(async () => target.last.closed, 'its connection is closed')
  })

  test('P15 a message that is announced and never comes: the client can leave', async () => {
    target.attack(instead('D', claimed('D', 60 * 1024 * 1024, 'x')))
    const client = await ready()
    client.write(simple)
    await client.until('T')
    await othersGoOn()
    client.destroy()
    await eventually(async () => target.last.closed, 'its connection is closed')
  })
})

describe('P15 a target that is hostile at login', () => {
  const authentication = (code: number, rest: Buffer = Buffer.alloc(0)): Buffer => message('R', Buffer.concat([int32(code), rest]))
  const attacks: readonly (readonly [string, Tamper])[] = [
    ['asks for the password in clear text', instead('R', authentication(3))],
    ['asks for md5', instead('R', authentication(5, Buffer.from('salt')))],
    ['asks for GSSAPI', instead('R', authentication(7))],
    ['offers no SCRAM-SHA-256', instead('R', authentication(10, Buffer.from('SCRAM-SHA-1\0\0')))],
    ['skips its own proof', (item) => (item.type === 'R' && item.body.readInt32BE(0) === 12 ? authentication(0) : undefined)],
    ['proves with a wrong signature', (item) => (item.type === 'R' && item.body.readInt32BE(0) === 12 ? authentication(12, Buffer.from(`v=${Buffer.alloc(32).toString('base64')}`)) : undefined)],
    ['goes on with SCRAM before it began', instead('R', authentication(11, Buffer.from('r=a,s=YQ==,i=4096')))],
    ['begins SCRAM twice', after('R', authentication(10, Buffer.from('SCRAM-SHA-256\0\0')))],
    ['sends ReadyForQuery before authentication', before('R', message('Z', 'I'))],
    ['sends rows before authentication', before('R', dataRow(markers.ssn))],
    ['sends parameters before authentication', before('R', parameter('server_version', '18'))],
    ['sends a key before authentication', before('R', message('K', Buffer.alloc(8)))],
    ['asks again after authentication', before('Z', authentication(3))],
    ['claims a message of 1 GiB', instead('R', claimed('R', 0x40000000))],
    ['refuses, quoting things', instead('R', message('E', `SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed ${markers.ssn}\0\0`))],
    ...['1', '100', '100000000', '-1', '1e9', 'x'].map((iterations): readonly [string, Tamper] => [
      `asks for ${iterations} iterations`,
      (item) => (item.type === 'R' && item.body.readInt32BE(0) === 11 ? authentication(11, Buffer.from(item.body.subarray(4).toString().replace(/i=\d+/, `i=${iterations}`))) : undefined),
    ]),
    ['answers to another nonce', (item) => (item.type === 'R' && item.body.readInt32BE(0) === 11 ? authentication(11, Buffer.from(item.body.subarray(4).toString().replace(/^r=./, 'r='))) : undefined)],
    ['closes', (_item, connection) => void connection.agent.destroy()],
  ]

  test.each(attacks)('P15 the target %s', async (_name, tamper) => {
    target.attack(tamper, true)
    const client = await login()
    const at = Date.now()
    const error = errorOf(await client.ended(20_000))
    expect(Date.now() - at).toBeLessThan(5000)
    expect(error).toMatchObject({ S: 'FATAL', C: '57P03', M: expect.stringMatching(/target/) })
    expect(leaked(Buffer.from(JSON.stringify(error)))).toBeUndefined()
    // Neither the password nor a weaker proof of it has left the agent: SASL only.
    const { received } = target.last
    expect(received).not.toContain(password())
    for (const answer of received.slice(received.indexOf('\0\0') + 2).split('p\0').slice(1)) expect(answer).toMatch(/SCRAM-SHA-256|c=biws/)
    await othersGoOn()
  })

  test('the twin: without an attack it serves', async () => {
    target.attack(undefined)
    const client = await ready()
    client.write(simple)
    const all = bytesOf(await client.until('Z'))
    expect(all.toString('latin1')).toContain('[redacted]')
    expect(leaked(all)).toBeUndefined()
    client.destroy()
  })
})

/** Of gateway and agent together. */
function residentBytes(): number {
  const { pids } = stack.line
  return [...pids.gateway, ...pids.agent].reduce((sum, pid) => sum + Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024, 0)
}

/** The agent's password for the target. */
function password(): string {
  return new URL(stack.target.directUrl).password
}
