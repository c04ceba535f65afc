import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PrismaPg } from '@prisma/adapter-pg'
import { PrismaClient } from '../generated/prisma/client.js'
import { startPostgres, type TestPostgres } from '../testing/postgres.js'
import { makeAgent, makeSession, commandRecord } from '../testing/fixtures.js'
import { AuditRepository } from './audit.repository.js'
import { AuditUnavailableError, ChainWriter } from './chain-writer.js'
import { TreeRepository } from './tree.repository.js'
import { isStatementTimeout } from './search.repository.js'
import { RecordingPartsRepository } from '../recordings/recording-parts.repository.js'
import { prepareControlEvent, prepareRecord, readRecord, timestamp } from './prepare.js'

describe('the chain writer', () => {
  let postgres: TestPostgres
  beforeAll(async () => {
    postgres = await startPostgres()
  })
  afterAll(async () => {
    await postgres?.stop()
  })
  const writerOn = (prisma: PrismaClient): ChainWriter => new ChainWriter(new AuditRepository(prisma), new TreeRepository(prisma), new RecordingPartsRepository(prisma))
  const alert = (code: string) => prepareControlEvent({ kind: 'alert', code, message: 'm' }, undefined, timestamp())

  it('refuses when the database is gone: the caller must not go on', async () => {
    const gone = new PrismaClient({ adapter: new PrismaPg({ connectionString: 'postgresql://x:x@127.0.0.1:1/x' }) })
    await expect(writerOn(gone).submit({ events: [alert('A')] })).rejects.toThrow(AuditUnavailableError)
  })

  it('one job that the database refuses does not take the others with it', async () => {
    const writer = writerOn(postgres.prisma)
    const bad = { ...alert('BAD'), columns: { ...alert('BAD').columns, id: 'no uuid' } }
    const results = await Promise.allSettled(['A', 'B', 'bad', 'C'].map((code) => writer.submit({ events: [code === 'bad' ? bad : alert(code)] })))
    expect(results.map((r) => r.status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
    const rows = await postgres.prisma.event.findMany({ orderBy: { position: 'asc' } })
    expect(rows.map((row) => row.position)).toEqual([1n, 2n, 3n])
  })

  it('recognises a search that PostgreSQL stopped', async () => {
    const stopped = postgres.prisma.$transaction(async (tx) => {
      await tx.$executeRaw`SELECT set_config('statement_timeout', '20', true)`
      await tx.$queryRaw`SELECT 1 FROM pg_sleep(5)`
    })
    await expect(stopped).rejects.toSatisfy(isStatementTimeout)
    await expect(postgres.prisma.$queryRaw`SELECT nothing`).rejects.not.toSatisfy(isStatementTimeout)
  })

  it('two replicas append to one chain without a gap or a fork', async () => {
    const other = new PrismaClient({ adapter: new PrismaPg({ connectionString: postgres.url }) })
    const agent = await makeAgent(postgres.prisma)
    const session = await makeSession(postgres.prisma, agent)
    try {
      const writers = [writerOn(postgres.prisma), writerOn(other)]
      const facts = new Map([[session.id, session]])
      const job = (seq: number) => prepareRecord(agent, BigInt(seq), readRecord(commandRecord(seq, session.id), BigInt(seq)), facts, timestamp())
      const spool = { node: agent, firstSeq: 1n }
      await Promise.all([
        ...Array.from({ length: 40 }, (_, i) => writers[i % 2]?.submit({ events: [alert(`R${i}`)] })),
        // The same batch over both replicas at once, as after a reconnect.
        ...writers.map((writer) => writer.submit({ events: [1, 2, 3].map(job), spool })),
      ])
      const rows = await postgres.prisma.event.findMany({ orderBy: { position: 'asc' } })
      expect(rows).toHaveLength(46)
      rows.forEach((row, i) => {
        expect(row.position).toBe(BigInt(i + 1))
        if (i > 0) expect(Buffer.compare(row.prevHash, rows[i - 1]?.hash ?? new Uint8Array())).toBe(0)
      })
    } finally {
      await other.$disconnect()
    }
  })
})
