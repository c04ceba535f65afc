import { createHash, randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'

/** Prisma's own advisory lock, so that `prisma migrate deploy` and this runner never work at once. */
const migrationLock = 72707369

/** Where the repository's migrations lie, seen from src and from dist alike. */
export const migrationsDirectory = join(import.meta.dirname, '../../../../prisma/migrations')

const bookkeeping = `
  CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
    "id" VARCHAR(36) PRIMARY KEY NOT NULL, "checksum" VARCHAR(64) NOT NULL, "finished_at" TIMESTAMPTZ,
    "migration_name" VARCHAR(255) NOT NULL, "logs" TEXT, "rolled_back_at" TIMESTAMPTZ,
    "started_at" TIMESTAMPTZ NOT NULL DEFAULT now(), "applied_steps_count" INTEGER NOT NULL DEFAULT 0)`

/**
 * Applies what is missing, each migration in a transaction of its own together with its line in Prisma's table, so that
 * a user can go on with Prisma's tools. Returns the names applied.
 * @throws when an applied migration was edited, failed half-way, or the database is newer than this program
 */
export async function migrate(url: string, directory = migrationsDirectory): Promise<string[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000, application_name: 'sallyport-migrate' })
  await client.connect()
  try {
    await client.query('SELECT pg_advisory_lock($1)', [migrationLock])
    await client.query(bookkeeping)
    const { rows } = await client.query<{ migration_name: string; checksum: string; finished_at: Date | null }>(
      'SELECT migration_name, checksum, finished_at FROM "_prisma_migrations" WHERE rolled_back_at IS NULL',
    )
    const known = new Map(rows.map((row) => [row.migration_name, row]))
    const names = readdirSync(directory, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort()
    for (const name of known.keys()) {
      if (!names.includes(name)) throw new Error(`the database has migration ${name}, which this version does not know: run the newer version`)
    }
    const applied: string[] = []
    for (const name of names) {
      const sql = readFileSync(join(directory, name, 'migration.sql'))
      const checksum = createHash('sha256').update(sql).digest('hex')
      const before = known.get(name)
      if (before && before.finished_at === null) throw new Error(`migration ${name} failed half-way earlier: see "prisma migrate resolve"`)
      if (before && before.checksum !== checksum) throw new Error(`migration ${name} was changed after it had been applied`)
      if (before) continue
      await apply(client, name, sql.toString('utf8'), checksum)
      applied.push(name)
    }
    return applied
  } finally {
    await client.end()
  }
}

async function apply(client: Client, name: string, sql: string, checksum: string): Promise<void> {
  await client.query('BEGIN')
  try {
    await client.query(sql)
    await client.query(
      'INSERT INTO "_prisma_migrations" (id, checksum, migration_name, started_at, finished_at, applied_steps_count) VALUES ($1, $2, $3, now(), clock_timestamp(), 1)',
      [randomUUID(), checksum, name],
    )
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  }
}
