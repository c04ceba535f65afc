import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import { Prisma } from '../generated/prisma/client.js'
import { erasedChannel } from './pseudonyms.service.js'
import { wordsReplaced } from './identifiers.js'
import type { Transaction } from './persons.repository.js'

/** Columns that hold one name and nothing else. */
const nameColumns: readonly (readonly [table: string, column: string])[] = [
  ['session', 'actor'], ['session', 'client_address'], ['credential', 'actor'], ['credential', 'revoked_by'], ['vote', 'user'], ['api_token', 'user'], ['enrolment_token', 'created_by'],
  ['legal_hold', 'created_by'], ['legal_hold', 'released_by'], ['document', 'author'], ['document_version', 'author'],
]
/** JSON objects whose values may be names. */
const objectColumns: readonly (readonly [table: string, column: string])[] = [['session', 'claims'], ['session', 'parameters'], ['credential', 'claims']]
/** Words of people and of the system. */
const textColumns: readonly (readonly [table: string, key: string, column: string])[] = [
  ['session', 'id', 'end_reason'], ['approval', 'id', 'reason'], ['vote', 'id', 'reason'], ['legal_hold', 'id', 'reason'], ['document_version', 'id', 'text'], ['document_version', 'id', 'reason'],
]
const shortest = 3

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

  /** Puts the pseudonym in the place of the name, everywhere outside the log. */
  async replace(tx: Transaction, name: string, pseudonym: string): Promise<void> {
    for (const [table, column] of nameColumns) {
      await tx.$executeRaw`UPDATE ${Prisma.raw(`"${table}"`)} SET ${Prisma.raw(`"${column}"`)} = ${pseudonym} WHERE ${Prisma.raw(`"${column}"`)} = ${name}`
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
    await tx.$executeRaw`UPDATE document_version SET text = NULL, name = ${pseudonym} WHERE kind = 'User' AND name = ${name}`
    await tx.account.deleteMany({ where: { OR: [{ name }, { email: name }, { subject: name }] } })
    await tx.savedSearch.deleteMany({ where: { owner: name } })
    if (name.length >= shortest && !/^\d+$/.test(name)) for (const place of textColumns) await this.#replaceWords(tx, place, name, pseudonym)
  }

  async #replaceWords(tx: Transaction, [table, key, column]: (typeof textColumns)[number], name: string, pseudonym: string): Promise<void> {
    const [from, id, text] = [Prisma.raw(`"${table}"`), Prisma.raw(`"${key}"`), Prisma.raw(`"${column}"`)]
    const rows = await tx.$queryRaw<{ id: string; text: string }[]>`SELECT ${id}::text AS id, ${text} AS text FROM ${from} WHERE position(${name} IN ${text}) > 0`
    for (const row of rows) await tx.$executeRaw`UPDATE ${from} SET ${text} = ${wordsReplaced(row.text, name, pseudonym)} WHERE ${id}::text = ${row.id}`
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
