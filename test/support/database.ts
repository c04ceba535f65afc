import { readFileSync } from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import type { Stack } from './stack.js'

/** The control plane's own database, by its superuser. */
export async function controlPlaneDatabase(stack: Stack): Promise<pg.Client> {
  const directory = path.join(stack.line.dataDir, 'api')
  const port = Number(readFileSync(path.join(directory, 'postgres/postmaster.pid'), 'utf8').split('\n')[3])
  const password = readFileSync(path.join(directory, 'postgres-password'), 'utf8').trim()
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'sallyport', database: 'postgres', password })
  await client.connect()
  // Its own connection may be among those that a test ends.
  client.on('error', () => undefined)
  return client
}
