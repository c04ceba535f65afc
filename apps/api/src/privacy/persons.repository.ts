import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common'
import { Pool } from 'pg'
import { DATABASE_URL } from '../database/database-url.js'

export interface PersonRow {
  readonly pseudonym: string
  readonly person: string
  readonly attribute: boolean
  readonly lookup: Buffer
  readonly sealed: Buffer
}

/** A person's first identifier brings the key. */
export interface NewPersonRow extends PersonRow {
  readonly wrappedKey?: Buffer
}

/**
 * People's identifiers. Connections of its own: events are prepared while a transaction holds one of the common pool's, and
 * waiting for a second one there could stop all of them for ever. What is made here is committed at once, so that nothing
 * cached was rolled back.
 */
@Injectable()
export class PersonsRepository implements OnApplicationShutdown {
  readonly #pool: Pool

  constructor(@Inject(DATABASE_URL) url: string) {
    this.#pool = new Pool({ connectionString: url, max: 2, connectionTimeoutMillis: 10_000, idleTimeoutMillis: 30_000, allowExitOnIdle: true, application_name: 'sallyport-people' })
    // An idle connection that breaks is replaced by the next query; without a listener it would end the process.
    this.#pool.on('error', () => undefined)
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#pool.end()
  }

  async byLookup(lookups: readonly Buffer[]): Promise<PersonRow[]> {
    if (lookups.length === 0) return []
    return (await this.#pool.query<PersonRow>('SELECT pseudonym, person, attribute, lookup, sealed FROM person_key WHERE lookup = ANY($1::bytea[])', [lookups])).rows
  }

  async byPseudonym(pseudonyms: readonly string[]): Promise<PersonRow[]> {
    if (pseudonyms.length === 0) return []
    return (await this.#pool.query<PersonRow>('SELECT pseudonym, person, attribute, lookup, sealed FROM person_key WHERE pseudonym = ANY($1::text[]) AND sealed IS NOT NULL', [pseudonyms])).rows
  }

  async wrappedKeys(people: readonly string[]): Promise<Map<string, Buffer>> {
    if (people.length === 0) return new Map()
    const { rows } = await this.#pool.query<{ pseudonym: string; key: Buffer }>('SELECT pseudonym, wrapped_key AS key FROM person_key WHERE pseudonym = ANY($1::text[]) AND wrapped_key IS NOT NULL', [people])
    return new Map(rows.map(({ pseudonym, key }) => [pseudonym, key]))
  }

  /** Nothing happens when the identifier is there already, or when its person was erased a moment ago. */
  async insert({ pseudonym, person, attribute, lookup, sealed, wrappedKey }: NewPersonRow): Promise<void> {
    const columns = 'INSERT INTO person_key (pseudonym, person, attribute, lookup, sealed, wrapped_key, created_at)'
    const values = [pseudonym, person, attribute, lookup, sealed, wrappedKey ?? null]
    if (wrappedKey !== undefined) await this.#pool.query(`${columns} VALUES ($1, $2, $3, $4, $5, $6, now()) ON CONFLICT DO NOTHING`, values)
    else await this.#pool.query(`${columns} SELECT $1, $2, $3, $4, $5, $6, now() FROM person_key WHERE pseudonym = $2 AND wrapped_key IS NOT NULL FOR SHARE ON CONFLICT DO NOTHING`, values)
  }

  /** The user whose document has this e-mail or alias. In lower case. */
  async userOfAlias(alias: string): Promise<string | undefined> {
    const { rows } = await this.#pool.query<{ name: string }>(
      `SELECT name FROM document WHERE kind = 'User' AND (lower(spec ->> 'email') = $1
         OR EXISTS (SELECT 1 FROM jsonb_each_text(coalesce(spec -> 'aliases', '{}')) a WHERE lower(a.value) = $1)) LIMIT 1`,
      [alias],
    )
    return rows[0]?.name
  }
}
