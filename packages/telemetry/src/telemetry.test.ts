import { Writable } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import { createLogger, createMetrics, startOpsServer, type OpsServer } from './index.js'

function captured(level = 'debug') {
  const lines: Record<string, unknown>[] = []
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>)
      done()
    },
  })
  return { lines, log: createLogger('gateway', { level, destination }) }
}

describe('the logger', () => {
  it('writes JSON with a level name, RFC 3339 time, service and message', () => {
    const { lines, log } = captured()
    log.info({ session_id: 's' }, 'session opened')
    expect(lines[0]).toMatchObject({ level: 'info', service: 'gateway', message: 'session opened', session_id: 's' })
    expect(lines[0]?.['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  })

  it('redacts names that stand for secrets, three levels deep', () => {
    const { lines, log } = captured()
    log.info({ token: 'tttt', a: { password: 'pppp', b: { grant: 'gggg' } } }, 'x')
    expect(JSON.stringify(lines)).not.toMatch(/tttt|pppp|gggg/)
  })

  it('prints of an error its type, code, message and stack only', () => {
    const { lines, log } = captured()
    log.warn({ error: Object.assign(new Error('refused'), { code: 'E1', query: 'SELECT 42' }) }, 'x')
    expect(lines[0]?.['error']).toMatchObject({ type: 'Error', code: 'E1', message: 'refused' })
    expect(JSON.stringify(lines)).not.toContain('SELECT 42')
  })

  it('prints the placeholder of a value that has one', () => {
    const { lines, log } = captured()
    log.info({ value: { toJSON: () => '[secret]' } }, 'x')
    expect(lines[0]?.['value']).toBe('[secret]')
  })

  it('refuses an unknown level', () => {
    expect(() => createLogger('x', { level: 'loud' })).toThrow(/SALLYPORT_LOG_LEVEL/)
  })
})

describe('the ops server', () => {
  let server: OpsServer | undefined
  afterEach(() => server?.close())

  it('answers health, readiness and metrics on loopback', async () => {
    const metrics = createMetrics('sallyport_test_')
    metrics.counter('things_total', 'Things.', ['reason']).inc({ reason: 'a' }, 2)
    metrics.gauge('level', 'Level.', [], () => 7)
    metrics.totals('bytes_total', 'Bytes.', 'direction', () => ({ up: 3, down: 4 }))
    let ok = true
    server = await startOpsServer({ port: 0, registry: metrics.registry, ready: () => ({ ok, checks: { control_plane: ok } }) })
    const url = `http://127.0.0.1:${server.port}`
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ ok: true, checks: { control_plane: true } })
    ok = false
    expect((await fetch(`${url}/readyz`)).status).toBe(503)
    const text = await (await fetch(`${url}/metrics`)).text()
    expect(text).toContain('sallyport_test_things_total{reason="a"} 2')
    expect(text).toContain('sallyport_test_level 7')
    expect(text).toContain('sallyport_test_bytes_total{direction="down"} 4')
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('sallyport_test_bytes_total{direction="up"} 3')
    expect(text).toContain('sallyport_test_nodejs_eventloop_lag_p99_seconds')
    expect((await fetch(`${url}/else`)).status).toBe(404)
    expect((await fetch(`${url}/healthz`, { method: 'POST' })).status).toBe(405)
  })

  it('is not ready when a check throws, and does not tell why', async () => {
    const ready = () => Promise.reject(new Error('postgres://user:pass@h'))
    server = await startOpsServer({ port: 0, registry: createMetrics('t_').registry, ready })
    const response = await fetch(`http://127.0.0.1:${server.port}/readyz`)
    expect(response.status).toBe(503)
    expect(await response.text()).not.toContain('pass')
  })
})
