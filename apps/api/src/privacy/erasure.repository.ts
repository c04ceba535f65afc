import { isIP } from 'node:net'
import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import { Prisma } from '../generated/prisma/client.js'
import { erasedChannel } from './pseudonyms.service.js'
import { wordsReplaced } from './identifiers.js'
import type { Transaction } from './persons.repository.js'

/** JSON objects whose values may be names, or numbers that stand for a person only as the whole value. */
const objectColumns: readonly (readonly [table: string, column: string])[] = [['session', 'claims'], ['session', 'parameters'], ['credential', 'claims']]

/**
 * What is not searched for names: the log (it holds pseudonyms, and must not change), documents in force (they are the
 * administrators' to change), and what nobody writes names into. All other tables are, those of later versions too.
 */
const untouched = new Set(['event_tombstone', 'audit_head', 'audit_tree', 'audit_checkpoint', 'person', 'person_identifier', 'document', 'key', 'recording', 'recording_part', 'recording_leftover', '_prisma_migrations'])
/** What a command said: approvals are bound to it. And names of things, which a person's may happen to equal. */
const untouchedColumns = new Set([
  'node.name', 'sink_state.name', 'sink_dead_letter.sink', 'session.target', 'session.protocol', 'credential.target', 'legal_hold.target', 'enrolment_token.name',
  'approval.text', 'approval.parameters', 'approval.effects', 'approval.facts', 'approval.requirements', 'approval.asked_groups', 'approval.escalated', 'remembered_approval.target', 'document.text',
])
const shortest = 3

interface Column {
  readonly table: string
  readonly column: string
  /** As information_schema calls it. */
  readonly type: string
}

/** Names of tables and columns can't be parameters; these are from the catalogue. */
const quoted = (name: string): Prisma.Sql => Prisma.raw(`"${name.replaceAll('"', '""')}"`)

/** As {@link wordsReplaced} does it, for PostgreSQL. */
const wordPattern = (name: string): string =>
  `(?<![[:alnum:]_.@-])${name.replaceAll(/[^\p{L}\p{N}]/gu, (char) => `\\${char}`)}(?![[:alnum:]_@-]|\\.[[:alnum:]])`

/** What the control plane's own tables, which aren't the log, know of a person. */
@Injectable()
export class ErasureRepository {
  constructor(private readonly prisma: PrismaService) {}

  transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.prisma.$transaction(run, { maxWait: 15_000, timeout: 120_000 })
  }

  /** Live sessions of the person, or of runs that the person started. */
  async liveSessions(tx: Transaction, names: readonly string[]): Promise<number> {
    return tx.session.count({ where: { endedAt: null, expiresAt: { gt: new Date() }, OR: [{ identityKind: 'user', identity: { in: [...names] } }, { actor: { in: [...names] } }] } })
  }

  /** Legal holds under which something that the person did is kept. */
  async holds(tx: Transaction, names: readonly string[], pseudonyms: readonly string[]): Promise<string[]> {
    const rows = await tx.$queryRaw<{ id: string }[]>`
      SELECT h.id::text AS id FROM legal_hold h WHERE h.released_at IS NULL AND (h.identity = ANY(${[...pseudonyms]}::text[]) OR EXISTS (
        SELECT 1 FROM event e LEFT JOIN session s ON s.id = e.session_id
        WHERE (e.identity = ANY(${[...pseudonyms]}::text[]) OR s.actor = ANY(${[...names]}::text[]))
          AND (h.session_id IS NULL OR h.session_id = e.session_id) AND (h.identity IS NULL OR h.identity = e.identity) AND (h.target IS NULL OR h.target = e.target)
          AND (h.from_time IS NULL OR e."time" >= h.from_time) AND (h.to_time IS NULL OR e."time" < h.to_time)))`
    return rows.map(({ id }) => id)
  }

  /**
   * Puts the pseudonym in the place of the name, everywhere outside the log.
   * @param own all names of the person, and what stands for them: whose the rows with shared addresses are
   */
  async replace(tx: Transaction, name: string, pseudonym: string, own: readonly string[]): Promise<void> {
    // Others may have come from the same address: theirs stay.
    if (isIP(name) !== 0) {
      await tx.$executeRaw`UPDATE session SET client_address = ${pseudonym} WHERE client_address = ${name} AND identity_kind = 'user' AND identity = ANY(${[...own]}::text[])`
      return
    }
    for (const table of ['session', 'credential']) {
      await tx.$executeRaw`UPDATE ${Prisma.raw(`"${table}"`)} SET identity = ${pseudonym} WHERE identity_kind = 'user' AND identity = ${name}`
    }
    for (const [table, column] of objectColumns) {
      const object = Prisma.raw(`"${column}"`)
      await tx.$executeRaw`
        UPDATE ${Prisma.raw(`"${table}"`)} SET ${object} = (SELECT jsonb_object_agg(key, CASE WHEN value = to_jsonb(${name}::text) AND key NOT IN ('run_id', 'run_number', 'job_id') THEN to_jsonb(${pseudonym}::text) ELSE value END) FROM jsonb_each(${object}))
        WHERE jsonb_typeof(${object}) = 'object' AND EXISTS (SELECT 1 FROM jsonb_each(${object}) WHERE value = to_jsonb(${name}::text))`
    }
    await tx.$executeRaw`UPDATE document SET author = ${pseudonym} WHERE author = ${name}`
    await tx.$executeRaw`UPDATE document_version SET text = NULL, name = ${pseudonym} WHERE kind = 'User' AND name = ${name}`
    await tx.account.deleteMany({ where: { OR: [{ name }, { email: name }, { subject: name }] } })
    await tx.savedSearch.deleteMany({ where: { owner: name } })
    for (const column of await this.#columns(tx)) await this.#replaceIn(tx, column, name, pseudonym)
  }

  /** Columns of text and JSON of all tables that there are. */
  async #columns(tx: Transaction): Promise<Column[]> {
    const rows = await tx.$queryRaw<Column[]>`
      SELECT c.table_name::text AS "table", c.column_name::text AS "column", c.data_type::text AS type FROM information_schema.columns c
      JOIN pg_class t ON t.relname = c.table_name AND t.relnamespace = current_schema()::regnamespace
      WHERE c.table_schema = current_schema() AND t.relkind = 'r' AND NOT t.relispartition AND c.is_generated = 'NEVER'
        AND (c.data_type IN ('text', 'character varying', 'json', 'jsonb') OR c.udt_name = '_text') ORDER BY 1, 2`
    return rows.filter(({ table, column }) => !untouched.has(table) && !untouchedColumns.has(`${table}.${column}`))
  }

  /** Names as whole words. Numbers, and what is shorter than three letters, only where nothing else stands: they would be anywhere. */
  async #replaceIn(tx: Transaction, { table, column, type }: Column, name: string, pseudonym: string): Promise<void> {
    const [of, field] = [quoted(table), quoted(column)]
    if (name.length < shortest || /^\d+$/.test(name)) {
      if (type === 'text' && name.length >= shortest) await tx.$executeRaw`UPDATE ${of} SET ${field} = ${pseudonym} WHERE ${field} = ${name}`
      return
    }
    const json = type === 'json' || type === 'jsonb'
    const pattern = wordPattern(json ? JSON.stringify(name).slice(1, -1) : name)
    const back = json ? Prisma.raw(`::${type}`) : type === 'ARRAY' ? Prisma.raw('::text[]') : Prisma.empty
    await tx.$executeRaw`UPDATE ${of} SET ${field} = regexp_replace(${field}::text, ${pattern}, ${pseudonym}, 'g')${back} WHERE ${field}::text ~ ${pattern}`
  }

  /** Documents in force that still hold the name as a word. */
  async namedIn(tx: Transaction, names: readonly string[]): Promise<string[]> {
    const rows = await tx.document.findMany({ select: { kind: true, name: true, text: true } })
    return rows.flatMap(({ kind, name, text }) => (names.some((person) => person.length >= shortest && wordsReplaced(text, person, '') !== text) ? [`${kind}/${name}`] : []))
  }

  /** Every replica drops what it remembers, once this is committed. */
  async tell(tx: Transaction): Promise<void> {
    await tx.$executeRaw`SELECT pg_notify(${erasedChannel}, '')`
  }
}
