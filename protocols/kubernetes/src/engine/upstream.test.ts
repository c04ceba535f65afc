import { expect, test } from 'vitest'
import { reread } from './upstream.js'

test('a token is read again after ten seconds, and at once when it could not be read', async () => {
  let now = 0
  let reads = 0
  let fails = false
  const token = reread(async () => {
    reads += 1
    if (fails) throw new Error('unreadable')
    return `token-${reads}`
  }, () => now)
  expect(await token()).toBe('token-1')
  now = 9_999
  expect(await token()).toBe('token-1')
  now = 10_000
  expect(await token()).toBe('token-2')
  now = 20_000
  fails = true
  await expect(token()).rejects.toThrow('unreadable')
  fails = false
  expect(await token()).toBe('token-4')
})
