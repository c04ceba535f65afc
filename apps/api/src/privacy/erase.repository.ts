import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import { Prisma } from '../generated/prisma/client.js'

export type Transaction = Prisma.TransactionClient

/** What is known of the person who is to be erased. */
export interface Person {
  readonly pseudonym: string
  /** All pseudonyms, those of attributes too. */
  readonly pseudonyms: readonly string[]
  readonly names: readonly string[]
  /** Addresses, numbers: searched for in what is the person's own alone, since others may have the same. */
  readonly attributes: readonly string[]
}

/**
 * What is not searched: the chain (it holds pseudonyms, and must not change), documents (they must not name the person any
 * more), what a command said (approvals are bound to it), and what nobody writes names into.
 */
const untouched = new Set(['event_tombstone', 'audit_head', 'audit_tree', 'audit_checkpoint', 'person_key', 'document', 'key', 'node', 'recording', 'recording_part', '_prisma_migrations'])
const untouchedColumns = new Set(['approval.text', 'approval.parameters', 'approval.effects', 'approval.facts', 'approval.requirements', 'document_version.text'])

/** Documents that name people: of others, a word that happens to be the same stays. */
const personalKinds = ['User', 'Group', 'GroupMapping', 'Policy', 'Workload']

/** Everything that erasing a person reads and writes besides the pseudonyms themselves. */
@Injectable()
export class EraseRepository {
  constructor(private readonly prisma: PrismaService) {}

  transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.prisma.$transaction(run, { maxWait: 15_000, timeout: 300_000 })
  }

  /** Locks the person's row until the transaction ends: nobody erases twice, and no identifier is added meanwhile. False when it is erased. */
  async lock(tx: Transaction, pseudonym: string): Promise<boolean> {
    return (await tx.$queryRaw<unknown[]>`SELECT 1 FROM person_key WHERE pseudonym = ${pseudonym} AND wrapped_key IS NOT NULL FOR UPDATE`).length === 1
  }

  identifiers(tx: Transaction, person: string): Promise<{ pseudonym: string; attribute: boolean }[]> {
    return tx.personKey.findMany({ where: { person, sealed: { not: null } }, select: { pseudonym: true, attribute: true }, orderBy: { createdAt: 'asc' } })
  }

  /** Current documents in which a name stands as a value: `Group backend`. */
  async documentsNaming(tx: Transaction, names: readonly string[]): Promise<string[]> {
    const lower = names.map((name) => name.toLowerCase())
    const rows = await tx.$queryRaw<{ kind: string; name: string }[]>`
      SELECT kind, name FROM document WHERE kind = 'User' AND lower(name) = ANY(${lower}::text[])
      UNION SELECT kind, name FROM document d WHERE kind = ANY(${personalKinds}::text[])
        AND EXISTS (SELECT 1 FROM jsonb_path_query(d.spec, 'strict $.**') v WHERE jsonb_typeof(v) = 'string' AND lower(v #>> '{}') = ANY(${lower}::text[]))
      ORDER BY 1, 2`
    return rows.map(({ kind, name }) => `${kind} ${name}`)
  }

  async isLive(tx: Transaction, names: readonly string[]): Promise<boolean> {
    const own = ownSessions(names)
    return (await tx.$queryRaw<unknown[]>`SELECT 1 FROM session WHERE ${own} AND ended_at IS NULL AND killed_at IS NULL AND expires_at > now() LIMIT 1`).length > 0
  }

  /** The legal holds that cover something of the person. */
  async holds(tx: Transaction, { pseudonyms, names }: Person): Promise<string[]> {
    const rows = await tx.$queryRaw<{ id: string }[]>`
      SELECT h.id::text AS id FROM legal_hold h WHERE h.released_at IS NULL
        AND (h.pseudonym = ANY(${[...pseudonyms]}::text[]) OR h.identity = ANY(${[...names]}::text[])
          OR EXISTS (SELECT 1 FROM session WHERE ${ownSessions(names)} AND (h.session_id IS NULL OR h.session_id = session.id) AND h.identity IS NULL
            AND (h.target IS NULL OR h.target = session.target) AND (h.to_time IS NULL OR session.created_at < h.to_time)
            AND (h.from_time IS NULL OR coalesce(session.ended_at, session.expires_at) >= h.from_time))
          OR (h.identity IS NULL AND EXISTS (SELECT 1 FROM event e WHERE e.identity = ANY(${[...pseudonyms]}::text[]) AND (h.session_id IS NULL OR h.session_id = e.session_id)
            AND (h.target IS NULL OR h.target = e.target) AND (h.from_time IS NULL OR e."time" >= h.from_time) AND (h.to_time IS NULL OR e."time" < h.to_time))))`
    return rows.map(({ id }) => id)
  }

  /** Puts the pseudonym where the names stand, in every table. Returns the tables that were changed. */
  async scrub(tx: Transaction, person: Person): Promise<string[]> {
    const { pseudonym, names, attributes } = person
    await tx.$executeRaw`UPDATE credential SET revoked_at = coalesce(revoked_at, now()) WHERE ${ownSessions(names)}`
    for (const table of ['session', 'credential']) {
      await tx.$executeRaw`
        UPDATE ${quoted(table)} SET claims = coalesce((SELECT jsonb_object_agg(c.key, CASE WHEN c.value #>> '{}' = ANY(${[...attributes]}::text[]) THEN to_jsonb(${pseudonym}::text) ELSE c.value END) FROM jsonb_each(claims) c), '{}')
        WHERE ${ownSessions(names)}`
    }
    await tx.$executeRaw`UPDATE session SET client_address = '' WHERE identity_kind = 'user' AND lower(identity) = ANY(${names.map((name) => name.toLowerCase())}::text[])`
    const pattern = patternOf(names)
    await tx.$executeRaw`UPDATE document_version SET text = NULL, name = ${pseudonym} WHERE kind = 'User' AND lower(name) = ANY(${names.map((name) => name.toLowerCase())}::text[])`
    await tx.$executeRaw`UPDATE document_version SET text = regexp_replace(text, ${pattern}, ${pseudonym}, 'gi') WHERE kind = ANY(${personalKinds}::text[]) AND text ~* ${pattern}`
    const changed = new Set(['session', 'credential', 'document_version'])
    for (const { table, column, type } of await this.#columns(tx)) {
      const [name, field] = [quoted(table), quoted(column)]
      const expression = type === 'jsonb' ? patternOf(names.map((one) => JSON.stringify(one).slice(1, -1))) : pattern
      const back = type === 'ARRAY' ? Prisma.raw('::text[]') : type === 'jsonb' ? Prisma.raw('::jsonb') : Prisma.empty
      const count = await tx.$executeRaw`UPDATE ${name} SET ${field} = regexp_replace(${field}::text, ${expression}, ${pseudonym}, 'gi')${back} WHERE ${field}::text ~* ${expression}`
      if (count > 0) changed.add(table)
    }
    return [...changed].sort()
  }

  /** The key goes, and all that it opens. What stays says that somebody was erased, and not who. */
  async forget(tx: Transaction, pseudonym: string, by: string, reason: string): Promise<void> {
    await tx.personKey.updateMany({ where: { person: pseudonym }, data: { wrappedKey: null, sealed: null, lookup: null, erasedAt: new Date() } })
    await tx.personKey.update({ where: { pseudonym }, data: { erasedBy: by, reason } })
  }

  /** Columns of text, of all tables that there are: what is added later is not forgotten. */
  async #columns(tx: Transaction): Promise<{ table: string; column: string; type: string }[]> {
    const rows = await tx.$queryRaw<{ table: string; column: string; type: string }[]>`
      SELECT c.table_name::text AS "table", c.column_name::text AS "column", c.data_type::text AS type FROM information_schema.columns c
      JOIN pg_class t ON t.relname = c.table_name AND t.relnamespace = current_schema()::regnamespace
      WHERE c.table_schema = current_schema() AND t.relkind = 'r' AND NOT t.relispartition AND c.is_generated = 'NEVER'
        AND (c.data_type IN ('text', 'jsonb', 'character varying') OR c.udt_name = '_text') ORDER BY 1, 2`
    return rows.filter(({ table, column }) => !untouched.has(table) && !untouchedColumns.has(`${table}.${column}`))
  }
}

/** Rows of sessions and credentials that are the person's, or of runs that the person started. */
function ownSessions(names: readonly string[]): Prisma.Sql {
  const lower = names.map((name) => name.toLowerCase())
  return Prisma.sql`((identity_kind = 'user' AND lower(identity) = ANY(${lower}::text[])) OR lower(actor) = ANY(${lower}::text[])
    OR EXISTS (SELECT 1 FROM jsonb_each_text(claims) c WHERE lower(c.value) = ANY(${lower}::text[])))`
}

/** Names of tables and columns, which no parameter can be: from the catalogue or from here. */
const quoted = (name: string): Prisma.Sql => Prisma.raw(`"${name.replaceAll('"', '""')}"`)

/** Whole names, not parts of others. Very short ones only where nothing else stands: they are words, too. */
function patternOf(names: readonly string[]): string {
  const escaped = (name: string): string => name.replaceAll(/[^\p{L}\p{N}]/gu, (char) => `\\${char}`)
  const long = names.filter((name) => name.length > 2).sort((a, b) => b.length - a.length).map(escaped)
  const short = names.filter((name) => name.length <= 2).map(escaped)
  const bounded = '(?<![[:alnum:]_.@+-])'
  return [...(long.length === 0 ? [] : [`${bounded}(?:${long.join('|')})(?![[:alnum:]_@+-]|\\.[[:alnum:]])`]), ...short.map((name) => `^"?${name}"?$`)].join('|')
}
