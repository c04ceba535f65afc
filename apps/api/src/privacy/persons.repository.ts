import { randomBytes } from 'node:crypto'
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common'
import { Pool, type PoolClient } from 'pg'
import { v7 as uuid } from 'uuid'
import { DATABASE_URL } from '../database/database-url.js'
import { PrismaService } from '../database/prisma.service.js'
import type { Prisma } from '../generated/prisma/client.js'
import { KeysService } from '../keys/keys.service.js'
import { seal, unseal } from '../keys/seal.js'

export type Transaction = Prisma.TransactionClient

const pseudonymBytes = 16
const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** `person-` and 26 letters of base32 (RFC 4648, lower case): 128 random bits. */
export const pseudonymPattern = /person-[a-z2-7]{26}/g
export const isPseudonym = (text: string): boolean => /^person-[a-z2-7]{26}$/.test(text)

function makePseudonym(): string {
  let bits = BigInt('0x' + randomBytes(pseudonymBytes).toString('hex')) << 2n
  let text = ''
  for (let letter = 0; letter < 26; letter += 1) {
    text = (alphabet[Number(bits & 31n)] ?? '') + text
    bits >>= 5n
  }
  return 'person-' + text
}

/** An identifier, with what it is found by: a name anywhere, an address among those of its person. */
export interface Identifier {
  readonly value: string
  readonly shared: boolean
}

export interface StoredIdentifier {
  readonly pseudonym: string
  readonly personId: string
  readonly lookup: Buffer | null
  readonly sealed: Buffer | null
  readonly sealedKey: Buffer | null
}

const selectIdentifier = `SELECT i.pseudonym, i.person_id::text AS "personId", i.lookup, i.sealed, p.sealed_key AS "sealedKey" FROM person_identifier i JOIN person p ON p.id = i.person_id`

/** Persons, their identifiers and their keys. */
@Injectable()
export class PersonsRepository implements OnApplicationShutdown {
  /** Its own connection: names are looked up inside transactions of others, and twenty of those, each waiting for one more connection, would wait for ever. */
  readonly #pool: Pool

  constructor(
    @Inject(DATABASE_URL) url: string,
    private readonly prisma: PrismaService,
    private readonly keys: KeysService,
  ) {
    this.#pool = new Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 10_000, application_name: 'sallyport-persons' })
    // A connection that breaks while idle is made anew by the next who asks.
    this.#pool.on('error', () => undefined)
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#pool.end()
  }

  /** The pseudonyms of names that are known, and nothing for those that aren't. */
  async find(names: readonly string[]): Promise<Map<string, string>> {
    const lookups = await this.#lookups(names)
    const { rows } = await this.#pool.query<StoredIdentifier>(`${selectIdentifier} WHERE i.lookup = ANY($1::bytea[])`, [[...lookups.values()]])
    return found(rows, lookups)
  }

  /**
   * Pseudonyms of all identifiers of one person, made where there are none. Identifiers that are known decide who it is;
   * `linked` are further names of the same person that aren't asked for.
   */
  async ensure(identifiers: readonly Identifier[], linked: readonly string[]): Promise<Map<string, string>> {
    const names = identifiers.filter(({ shared }) => !shared).map(({ value }) => value)
    const addresses = identifiers.filter(({ shared }) => shared).map(({ value }) => value)
    const lookups = await this.#lookups(names)
    const others = await this.#lookups(linked)
    return this.#within(async (client) => {
      const { rows } = await client.query<StoredIdentifier>(`${selectIdentifier} WHERE i.lookup = ANY($1::bytea[]) AND p.sealed_key IS NOT NULL ORDER BY p.created_at FOR SHARE OF p`, [[...lookups.values(), ...others.values()]])
      const own = rows.find(({ lookup }) => [...lookups.values()].some((wanted) => wanted.equals(lookup ?? Buffer.alloc(0)))) ?? rows[0]
      const person = own?.sealedKey ? { id: own.personId, key: await this.#open(own.personId, own.sealedKey) } : await this.#create(client)
      const result = found(rows, lookups)
      for (const [value, lookup] of lookups) if (!result.has(value)) await insert(client, person, value, lookup)
      const places = new Map(await Promise.all(addresses.map(async (value) => [value, await this.keys.identifierDigest(`address:${person.id}:${value}`)] as const)))
      for (const [value, lookup] of places) await insert(client, person, value, lookup)
      // Another replica may have been quicker with one of them.
      const all = await client.query<StoredIdentifier>(`${selectIdentifier} WHERE i.lookup = ANY($1::bytea[])`, [[...lookups.values(), ...places.values()]])
      return found(all.rows, new Map([...lookups, ...places]))
    })
  }

  /** What pseudonyms stand for; those of erased people, and made-up ones, are left out. */
  async values(pseudonyms: readonly string[]): Promise<Map<string, string>> {
    const { rows } = await this.#pool.query<StoredIdentifier>(`${selectIdentifier} WHERE i.pseudonym = ANY($1)`, [[...pseudonyms]])
    const opened = await Promise.all(rows.map(async (row) => [row.pseudonym, await this.#value(row)] as const))
    return new Map(opened.flatMap(([pseudonym, value]) => (value === undefined ? [] : [[pseudonym, value]])))
  }

  /** Everything that is known of whom this identifier belongs to. */
  async personOf(name: string): Promise<{ readonly id: string; readonly identifiers: ReadonlyMap<string, string> } | undefined> {
    const [lookup] = (await this.#lookups([name])).values()
    const row = lookup && (await this.prisma.personIdentifier.findUnique({ where: { lookup: new Uint8Array(lookup) } }))
    if (!row) return undefined
    const rows = await this.prisma.personIdentifier.findMany({ where: { personId: row.personId }, select: { pseudonym: true } })
    return { id: row.personId, identifiers: await this.values(rows.map(({ pseudonym }) => pseudonym)) }
  }

  /** Deletes the key, and with it what all the person's pseudonyms stand for. They stay, so that nobody gets one of them again. */
  async forget(tx: Transaction, id: string, now: Date): Promise<boolean> {
    const { count } = await tx.person.updateMany({ where: { id, erasedAt: null }, data: { sealedKey: null, erasedAt: now } })
    await tx.personIdentifier.updateMany({ where: { personId: id }, data: { lookup: null, sealed: null } })
    return count === 1
  }

  async #lookups(names: readonly string[]): Promise<Map<string, Buffer>> {
    return new Map(await Promise.all([...new Set(names)].map(async (name) => [name, await this.keys.identifierDigest(`name:${name}`)] as const)))
  }

  async #create(client: PoolClient): Promise<{ id: string; key: Buffer }> {
    const id = uuid()
    const key = randomBytes(32)
    await client.query('INSERT INTO person (id, sealed_key, created_at) VALUES ($1, $2, now())', [id, this.keys.sealPart(`person:${id}`, key)])
    return { id, key }
  }

  async #open(id: string, sealedKey: Buffer): Promise<Buffer> {
    return this.keys.unsealPart(`person:${id}`, sealedKey)
  }

  async #value({ pseudonym, personId, sealed, sealedKey }: StoredIdentifier): Promise<string | undefined> {
    if (!sealed || !sealedKey) return undefined
    return unseal(await this.#open(personId, sealedKey), pseudonym, sealed).toString()
  }

  async #within<T>(run: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect()
    try {
      await client.query('BEGIN')
      const result = await run(client)
      await client.query('COMMIT')
      client.release()
      return result
    } catch (error) {
      // Not given back: whatever state it is in goes with the connection.
      client.release(true)
      throw error
    }
  }
}

function found(rows: readonly StoredIdentifier[], lookups: ReadonlyMap<string, Buffer>): Map<string, string> {
  const byLookup = new Map(rows.flatMap(({ lookup, pseudonym }) => (lookup ? [[lookup.toString('hex'), pseudonym]] : [])))
  return new Map([...lookups].flatMap(([value, lookup]) => {
    const pseudonym = byLookup.get(lookup.toString('hex'))
    return pseudonym === undefined ? [] : [[value, pseudonym]]
  }))
}

async function insert(client: PoolClient, person: { readonly id: string; readonly key: Buffer }, value: string, lookup: Buffer): Promise<void> {
  const pseudonym = makePseudonym()
  await client.query('INSERT INTO person_identifier (pseudonym, person_id, lookup, sealed) VALUES ($1, $2, $3, $4) ON CONFLICT (lookup) DO NOTHING', [
    pseudonym, person.id, lookup, seal(person.key, pseudonym, Buffer.from(value)),
  ])
}
