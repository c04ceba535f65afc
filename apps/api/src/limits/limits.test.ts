import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AccessService } from '../access/access.service.js'
import { ApplyService } from '../documents/apply.service.js'
import { startApp, type TestApp } from '../testing/app.js'
import { RateLimit } from './rate-limit.js'

describe('a bucket', () => {
  it('gives what it holds, refills with time, and says when', () => {
    let now = 0
    const limit = new RateLimit(2, 0.5, 10, () => now)
    expect(limit.charge('a')).toEqual({ allowed: true, remaining: 1, resetSeconds: 2 })
    expect(limit.charge('a')).toEqual({ allowed: true, remaining: 0, resetSeconds: 2 })
    expect(limit.charge('a')).toEqual({ allowed: false, remaining: 0, resetSeconds: 2 })
    expect(limit.charge('b').allowed).toBe(true)
    now = 2000
    expect(limit.charge('a').allowed).toBe(true)
    expect(limit.charge('a').allowed).toBe(false)
  })
})

describe('limits of the API', () => {
  let app: TestApp
  let dana: string
  beforeAll(async () => {
    // Bursts of 6, 60 and 12.
    app = await startApp({ SALLYPORT_RATE_LIMIT_PRINCIPAL: '1', SALLYPORT_RATE_LIMIT_ADDRESS: '10', SALLYPORT_RATE_LIMIT_PUBLIC: '2', SALLYPORT_MAX_STREAMS: '2' })
    await app.app.get(ApplyService).ensureAdmin('dana')
    dana = (await app.app.get(AccessService).createToken({ user: 'dana', name: 'test' }, 'test')).token
  })
  afterAll(() => app?.stop())

  it('hold for each principal alone, and are told: 429 says when to come back', async () => {
    const answers = await Promise.all(Array.from({ length: 9 }, () => app.call('GET', '/v1/whoami')))
    const refused = answers.filter(({ status }) => status === 429)
    expect(refused.length).toBeGreaterThanOrEqual(2)
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(6)
    expect(refused[0]?.body).toMatchObject({ status: 429, code: 'TOO_MANY_REQUESTS', hint: expect.stringContaining('Retry-After') })
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(refused[0]?.headers.get('ratelimit-policy')).toBe('"principal";q=6;w=6')
    expect(refused[0]?.headers.get('ratelimit')).toMatch(/^"principal";r=0;t=1$/)
    expect((await app.call('GET', '/v1/whoami', { token: dana })).status).toBe(200)
  })

  it('bound the streams that one has open, and forget those that ended', async () => {
    const stops: AbortController[] = []
    const open = async (): Promise<number> => {
      const stop = new AbortController()
      stops.push(stop)
      return (await fetch(`${app.url}/v1/approvals/stream`, { headers: { authorization: `Bearer ${dana}` }, signal: stop.signal })).status
    }
    expect([await open(), await open(), await open()]).toEqual([200, 200, 429])
    stops[0]?.abort()
    await expect.poll(open, { timeout: 10_000, interval: 1100 }).toBe(200)
    for (const stop of stops) stop.abort()
  })

  it('stop a flood of wrong tokens before they are looked up', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => app.call('GET', '/v1/whoami', { token: 'spt_0_x' })))
    const counts = new Map<number, number>()
    for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1)
    expect([...counts.keys()].sort((a, b) => a - b)).toEqual([401, 429])
    expect(counts.get(429)).toBeGreaterThan(20)
  })
})
