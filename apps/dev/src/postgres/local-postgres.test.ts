import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { expect, test } from 'vitest'
import { Resources } from '../process/resources.js'
import { serversUnder } from '../process/watchdog.js'
import { startTarget } from '../stack/target.js'
import { reachable } from './account.js'

test('the demo target starts, keeps its rows over a restart, and leaves no server behind', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  try {
    // mkdtemp makes 0700; the server's account must be able to pass through.
    chmodSync(directory, 0o711)
    const passwords: string[] = []
    for (const round of [1, 2]) {
      const resources = new Resources()
      try {
        const target = await startTarget(directory, 0, true, resources)
        passwords.push(target.password)
        expect(serversUnder(directory)).toEqual([target.pid])
        const client = new pg.Client({ connectionString: target.directUrl })
        await client.connect()
        const customers = await client.query('select count(*)::int as count, bool_or(usesuper) as super from customers, pg_user where usename = current_user')
        expect(customers.rows).toEqual([{ count: 120, super: false }])
        const orders = await client.query('insert into orders (customer_id) values (1) returning id')
        expect(orders.rows).toEqual([{ id: 300 + round }])
        await client.end()
      } finally {
        await resources.close()
      }
      expect(serversUnder(directory)).toEqual([])
    }
    expect(passwords[0]).toBe(passwords[1])
    expect(statSync(join(directory, 'target', 'agent-password')).mode & 0o777).toBe(0o600)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}, 60_000)

test("a directory that others can't enter is not reachable", () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  try {
    expect(reachable(join(directory, 'data'))).toBe(false)
    expect(reachable(directory)).toBe(true)
  } finally {
    rmSync(directory, { recursive: true })
  }
})
