import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { ControlPlaneEventBody } from '../audit/events.js'
import { AuthFailures } from './auth-failures.js'

const failure = { method: 'oidc_token', code: 'TOKEN_INVALID', reason: 'no' }

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }))
afterEach(() => void vi.useRealTimers())

function recorder(append: (event: ControlPlaneEventBody) => Promise<void>): AuthFailures {
  // Only `append` is used.
  return new AuthFailures({ append } as ConstructorParameters<typeof AuthFailures>[0])
}

it('records 50 a second, counts the rest, and records the count', async () => {
  const events: ControlPlaneEventBody[] = []
  const failures = recorder((event) => Promise.resolve(void events.push(event)))
  for (let i = 0; i < 80; i += 1) await failures.record(failure)
  expect(events).toHaveLength(50)
  await vi.advanceTimersByTimeAsync(1000)
  expect(events.at(-1)).toMatchObject({ kind: 'alert', code: 'AUTH_FAILURES_SUPPRESSED', detail: { count: 30 } })
  await failures.record(failure)
  expect(events.at(-1)).toMatchObject({ kind: 'auth.failed' })
})

it('cuts unverified names, and never rejects', async () => {
  const events: ControlPlaneEventBody[] = []
  await recorder((event) => Promise.resolve(void events.push(event))).record({ ...failure, user: 'x'.repeat(5000) })
  expect(JSON.stringify(events).length).toBeLessThan(1000)
  await expect(recorder(() => Promise.reject(new Error('down'))).record(failure)).resolves.toBeUndefined()
})
