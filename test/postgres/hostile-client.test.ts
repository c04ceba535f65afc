import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { direct, eventually } from '../support/direct.js'
import { bind, errorOf, execute, flush, message, parse, RawClient, startup, sync, types } from '../support/raw-client.js'
import { Stack } from '../support/stack.js'

let stack: Stack

beforeAll(async () => {
  stack = await Stack.start()
})

afterAll(async () => {
  await stack.stop()
})

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

describe('before the login', () => {
  for (const [name, bytes] of [
    ['P11 length 0', int32(0)],
    ['P11 length 7', int32(7)],
    ['P11 length 2^31', int32(0x80000000)],
    ['P11 length 2^32-1', int32(0xffffffff)],
    ['P11 length above the cap', int32(10_001)],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['P9 protocol 2', startup({ user: 'a' }, 0x20000)],
    ['P9 protocol 4', startup({ user: 'a' }, 0x40000)],
    ['P8 start-up without TLS', startup({ user: 'orders-db' })],
    ['P8 SSLRequest with more behind it', Buffer.from([0, 0, 0, 8, 4, 210, 22, 47, 1, 2, 3])],
    ['SSLRequest with a body', Buffer.concat([int32(9), int32(80877103), Buffer.from([1])])],
    ['a cancel request of nobody', Buffer.concat([int32(16), int32(80877102), int32(1), int32(2)])],
  ] as const) {
    test(`${name}: refused, and closed`, async () => {
      const client = await RawClient.connect(stack)
      client.write(bytes)
      const messages = await client.ended()
      expect(messages.every((item) => item.type === 'E')).toBe(true)
    })
  }

  test('P8 GSSENCRequest is answered N, once', async () => {
    const client = await RawClient.connect(stack)
    client.write(Buffer.concat([int32(8), int32(80877104)]))
    await new Promise<void>((resolve) => client.socket.once('data', () => resolve()))
    client.write(Buffer.concat([int32(8), int32(80877104)]))
    await client.ended()
  })

  test('P8 direct TLS with ALPN works, SSLRequest inside it is refused', async () => {
    const client = await RawClient.connect(stack)
    await client.startTls(stack, true)
    client.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]))
    expect(errorOf(await client.ended())['C']).toBe('08P01')
  })

  test('P9 replication, unknown options and a second start-up are refused', async () => {
    for (const parameters of [{ replication: 'database' }, { options: '-c session_preload_libraries=x' }, { client_encoding: 'SJIS' }, { session_replication_role: 'replica' }] as const) {
      const client = await RawClient.connect(stack)
      await client.startTls(stack)
      client.write(startup({ user: 'orders-db', ...(parameters as Record<string, string>) }))
      const messages = await client.ended()
      expect({ parameters, types: types(messages) }).toEqual({ parameters, types: 'E' })
    }
    const twice = await RawClient.connect(stack)
    await twice.startTls(stack)
    twice.write(startup({ user: 'orders-db' }))
    await twice.until('R')
    twice.write(startup({ user: 'postgres' }))
    expect(types(await twice.ended())).toBe('E')
  })

  test('P9 protocol 3.2 is negotiated down', async () => {
    const client = await RawClient.connect(stack)
    await client.startTls(stack)
    client.write(startup({ user: 'orders-db', '_pq_.fancy': '1' }, 0x30002))
    const messages = await client.until('R')
    expect(types(messages)).toBe('vR')
    expect(messages[0]?.body.toString('latin1')).toContain('_pq_.fancy')
    client.destroy()
  })

  test('a password message of 64 KiB and more is refused before it is read', async () => {
    const client = await RawClient.connect(stack)
    await client.startTls(stack)
    client.write(startup({ user: 'orders-db' }))
    await client.until('R')
    client.write(Buffer.concat([Buffer.from('p'), int32(100_000_000)]))
    expect(types(await client.ended())).toBe('E')
  })

  test('two hundred idle and half-open connections do not keep anybody out', async () => {
    const idle: RawClient[] = []
    for (let index = 0; index < 45; index += 1) idle.push(await RawClient.connect(stack))
    for (const client of idle.slice(0, 20)) client.write(Buffer.from([0, 0]))
    const begun = performance.now()
    const client = await RawClient.login(stack)
    client.query('SELECT 1')
    expect(types(await client.until('Z'))).toContain('D')
    expect(performance.now() - begun).toBeLessThan(5000)
    client.destroy()
    for (const one of idle) one.destroy()
  })
})

describe('after the login', () => {
  test('the login works split at every byte', async () => {
    const client = await RawClient.connect(stack)
    await client.startTls(stack)
    const token = await stack.mint()
    for (const bytes of [startup({ user: 'orders-db', database: 'orders' })]) for (const byte of bytes) client.write(Buffer.from([byte]))
    await client.until('R')
    const password = message('p', `${token}\0`)
    for (let offset = 0; offset < password.length; offset += 7) client.write(password.subarray(offset, offset + 7))
    await client.until('Z')
    const query = message('Q', "SELECT 'split'\0")
    for (const byte of query) client.write(Buffer.from([byte]))
    expect((await client.until('Z')).find((item) => item.type === 'D')?.body.toString()).toContain('split')
    client.destroy()
  })

  for (const [name, bytes] of [
    ['P12 unknown type y', message('y')],
    ['P12 NUL type', Buffer.from([0, 0, 0, 0, 4])],
    ['P11 length 3', Buffer.concat([Buffer.from('Q'), int32(3)])],
    ['P11 length 2^31', Buffer.concat([Buffer.from('Q'), int32(0x80000000)])],
    ['P11 length 2^32-1', Buffer.concat([Buffer.from('P'), int32(0xffffffff)])],
    ['P11 length above the cap', Buffer.concat([Buffer.from('Q'), int32(64 * 1024 * 1024)])],
    ['a password after the login', message('p', 'x\0')],
    ['P9 a second start-up message', startup({ user: 'postgres' })],
    ['Query without its NUL', message('Q', 'SELECT 1')],
    ['Query with two NULs', message('Q', 'SELECT 1\0SELECT 2\0')],
    ['P14 Query that is not UTF-8', message('Q', Buffer.from([0x53, 0xff, 0xfe, 0]))],
    ['Bind with more parameters than it has', message('B', Buffer.concat([Buffer.from('\0\0'), Buffer.from([0, 0, 0, 9, 0, 0])]))],
    ['Describe of neither', message('D', 'Xname\0')],
    ['Sync with a body', message('S', 'x')],
    ['a reserved name', parse('sallyport.hidden', 'SELECT 1')],
  ] as const) {
    test(`${name}: a FATAL protocol error, and nothing reaches the target`, async () => {
      const client = await RawClient.login(stack)
      client.write(bytes)
      client.query("INSERT INTO orders (customer_id, status) VALUES (1, 'smuggled')")
      const messages = await client.ended()
      expect(errorOf(messages)['S']).toBe('FATAL')
      expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'smuggled'")).toHaveLength(0)
    })
  }

  test('P1 FunctionCall is denied like a statement, and recorded', async () => {
    const client = await RawClient.login(stack)
    client.write(message('F', Buffer.concat([int32(764), Buffer.alloc(6)])))
    const messages = await client.until('Z')
    expect(types(messages)).toBe('EZ')
    expect(errorOf(messages)['C']).toBe('42501')
    client.query('SELECT 1')
    expect(types(await client.until('Z'))).toBe('TDCZ')
    client.destroy()
    await eventually(async () => (await stack.events('kind=command&decision=deny&text=FunctionCall'))[0], 'the FunctionCall is on record')
  })

  test('P3 a denied Parse: the Bind, Execute pipelined behind it run nothing, not even the older statement', async () => {
    const client = await RawClient.login(stack)
    client.write(Buffer.concat([parse('', "INSERT INTO orders (customer_id, status) VALUES (1, 'stale')"), sync]))
    await client.until('Z')
    client.write(Buffer.concat([parse('', 'DROP DATABASE orders'), bind('', ''), execute(''), sync]))
    const messages = await client.until('Z')
    expect(types(messages)).toBe('EZ')
    client.write(Buffer.concat([bind('', ''), execute(''), sync]))
    expect(errorOf(await client.until('Z'))['C']).toBe('26000')
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'stale'")).toHaveLength(0)
    client.destroy()
  })

  test('P5 a name that was parsed again without Close stays what it was, at the target and for us', async () => {
    const client = await RawClient.login(stack)
    client.write(Buffer.concat([parse('s1', "SELECT 'first'"), sync]))
    await client.until('Z')
    client.write(Buffer.concat([parse('s1', "SELECT 'second'"), sync, bind('', 's1'), execute(''), sync]))
    const first = await client.until('Z')
    expect(errorOf(first)['C']).toBe('42P05')
    const second = await client.until('Z')
    expect(second.find((item) => item.type === 'D')?.body.toString()).toContain('first')
    client.write(Buffer.concat([message('C', 'Ss1\0'), parse('s1', "SELECT 'third'"), bind('', 's1'), execute(''), sync]))
    expect((await client.until('Z')).find((item) => item.type === 'D')?.body.toString()).toContain('third')
    client.query('DEALLOCATE s1')
    await client.until('Z')
    client.write(Buffer.concat([bind('', 's1'), execute(''), sync]))
    expect(errorOf(await client.until('Z'))['C']).toBe('26000')
    client.destroy()
  })

  test('P5 PREPARE, EXECUTE and Bind share their names', async () => {
    const client = await RawClient.login(stack)
    client.query("PREPARE ins AS INSERT INTO customers (id, name) VALUES (777777, 'x')")
    await client.until('Z')
    client.query('EXECUTE ins')
    expect(errorOf(await client.until('Z'))['C']).toBe('42501')
    client.write(Buffer.concat([bind('', 'ins'), execute(''), sync]))
    expect(errorOf(await client.until('Z'))['C']).toBe('42501')
    expect(await direct(stack, 'SELECT 1 FROM customers WHERE id = 777777')).toHaveLength(0)
    client.destroy()
  })

  test('P6 a suspended portal goes on, and is masked to its end', async () => {
    const client = await RawClient.login(stack)
    client.query('BEGIN')
    await client.until('Z')
    client.write(Buffer.concat([parse('', 'SELECT ssn FROM customers ORDER BY id'), bind('p', ''), execute('p', 2), execute('p', 2), execute('p', 0), sync]))
    const messages = await client.until('Z')
    expect(types(messages)).toMatch(/^12DDsDDsD+CZ$/)
    expect(messages.filter((item) => item.type === 'D').every((item) => item.body.toString().includes('[redacted]'))).toBe(true)
    client.destroy()
  })

  test('P13 what comes inside a COPY is data, and a Query there ends the connection', async () => {
    const client = await RawClient.login(stack)
    client.query('COPY orders (customer_id, status) FROM STDIN')
    await client.until('G')
    client.write(message('d', "1\tDROP TABLE orders; --\n"))
    client.query("INSERT INTO orders (customer_id, status) VALUES (1, 'in-copy')")
    expect(errorOf(await client.ended())['S']).toBe('FATAL')
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status IN ('in-copy', 'DROP TABLE orders; --')")).toHaveLength(0)
  })

  test('P13 CopyFail leaves the connection usable; COPY messages outside a COPY are dropped', async () => {
    const client = await RawClient.login(stack)
    client.query('COPY orders (customer_id, status) FROM STDIN')
    await client.until('G')
    client.write(Buffer.concat([message('d', '1\tfailed\n'), message('f', 'no\0')]))
    expect(errorOf(await client.until('Z'))['C']).toBe('57014')
    client.write(Buffer.concat([message('d', 'x'), message('c'), message('f', 'x\0')]))
    client.query("SELECT 'usable'")
    expect(types(await client.until('Z'))).toBe('TDCZ')
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'failed'")).toHaveLength(0)
    client.destroy()
  })

  test('extended COPY with an early Sync, as libpq sends it', async () => {
    const client = await RawClient.login(stack)
    client.write(Buffer.concat([parse('', 'COPY orders (customer_id, status) FROM STDIN'), bind('', ''), execute(''), sync]))
    await client.until('G')
    client.write(Buffer.concat([message('d', '3\textended\n'), message('c'), sync]))
    expect(types(await client.until('Z'))).toBe('CZ')
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'extended'")).toHaveLength(1)
    client.destroy()
  })

  test('pipelines answer in order, an error skips to its Sync, and transactions agree', async () => {
    const client = await RawClient.login(stack)
    client.write(
      Buffer.concat([
        parse('', "INSERT INTO orders (customer_id, status) VALUES (1, 'pipe-1')"), bind('', ''), execute(''),
        parse('', 'DELETE FROM nowhere'), bind('', ''), execute(''),
        parse('', "INSERT INTO orders (customer_id, status) VALUES (1, 'pipe-2')"), bind('', ''), execute(''), sync,
        parse('', "SELECT 'next batch'"), bind('', ''), execute(''), sync,
      ]),
    )
    expect(types(await client.until('Z'))).toBe('12CEZ')
    expect(types(await client.until('Z'))).toBe('12DCZ')
    // One batch is one transaction: what ran before the denial is rolled back by the target as well.
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status LIKE 'pipe-%'")).toHaveLength(0)
    client.destroy()
  })

  test('SET search_path in a pipeline counts for what follows it', async () => {
    const client = await RawClient.login(stack)
    client.write(Buffer.concat([parse('', 'SET search_path = pg_catalog'), bind('', ''), execute(''), parse('', 'SELECT count(*) FROM orders'), bind('', ''), execute(''), sync]))
    const messages = await client.until('Z')
    expect(types(messages)).toBe('12CEZ')
    client.query('SELECT count(*) FROM public.orders')
    expect(types(await client.until('Z'))).toBe('TDCZ')
    client.destroy()
  })

  test('Flush makes the target answer without a Sync', async () => {
    const client = await RawClient.login(stack)
    client.write(Buffer.concat([parse('', 'SELECT 1'), bind('', ''), execute(''), flush]))
    expect(types(await client.until('C'))).toBe('12DC')
    client.write(sync)
    await client.until('Z')
    client.destroy()
  })

  test('P10 a cancel request with a wrong key, or of a finished session, cancels nothing', async () => {
    const client = await RawClient.login(stack)
    client.query('SELECT pg_sleep(0)')
    await client.until('Z')
    client.query('SELECT count(*) FROM generate_series(1, 3000000)')
    for (let guess = 0; guess < 20; guess += 1) {
      const forged = await RawClient.connect(stack)
      forged.write(Buffer.concat([int32(16), int32(80877102), int32(guess), int32(guess * 7919)]))
      await forged.ended()
    }
    expect(types(await client.until('Z'))).toContain('C')
    client.destroy()
  })

  test('a client that stops reading holds no memory at the gateway or the agent', async () => {
    const client = await RawClient.login(stack)
    client.socket.pause()
    client.query("SELECT repeat('x', 1000) FROM generate_series(1, 200000)")
    const other = await RawClient.login(stack)
    other.query('SELECT 1')
    expect(types(await other.until('Z'))).toBe('TDCZ')
    const rss = async (): Promise<number> => {
      const { readFileSync } = await import('node:fs')
      return [...stack.line.pids.gateway, ...stack.line.pids.agent].reduce((sum, pid) => sum + Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0), 0)
    }
    const before = await rss()
    await new Promise((resolve) => setTimeout(resolve, 1000))
    // 200 MB wait at the target; what may be buffered on the way is a few windows.
    expect((await rss()) - before).toBeLessThan(60_000)
    client.destroy()
    other.destroy()
  })
})

test('after all of this, every process still runs and the chain verifies', async () => {
  for (const pid of [stack.line.pids.api, ...stack.line.pids.gateway, ...stack.line.pids.agent]) expect(() => process.kill(pid, 0)).not.toThrow()
  const { body } = await stack.api('GET', '/v1/audit/verify')
  expect(body).toMatchObject({ ok: true })
})
