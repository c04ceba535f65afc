import pg from 'pg'
import type { Stack } from './stack.js'

/** Looks at the target itself, past the gateway. */
export async function direct<Row extends Record<string, unknown>>(stack: Stack, sql: string, values: readonly unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: stack.target.superuserUrl })
  await client.connect()
  try {
    return (await client.query<Row>(sql, [...values])).rows
  } finally {
    await client.end()
  }
}

/** Waits for a condition that only asking can tell. */
export async function eventually<T>(ask: () => Promise<T | undefined | false>, what: string, milliseconds = 15_000): Promise<T> {
  const deadline = Date.now() + milliseconds
  for (;;) {
    const value = await ask()
    if (value !== undefined && value !== false) return value
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
