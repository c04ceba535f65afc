import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { passableDirectory } from '@sallyport/embedded-postgres'
import pg from 'pg'
import { expect, test } from 'vitest'
import { Resources } from '../process/resources.js'
import { serversUnder } from '../process/watchdog.js'
import { startTarget } from './target.js'

test('the demo target starts, keeps its rows over a restart, and leaves no server behind', async () => {
  const directory = passableDirectory('sallyport-test-')
  try {
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
