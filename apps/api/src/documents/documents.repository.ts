import { Injectable } from '@nestjs/common'
import { v7 as uuid } from 'uuid'
import type { Transaction } from '../audit/audit.repository.js'
import { PrismaService } from '../database/prisma.service.js'
import { Prisma, type Document, type DocumentVersion } from '../generated/prisma/client.js'

export const documentsChannel = 'sallyport_documents'

export interface NewVersion {
  readonly kind: string
  readonly name: string
  /** Undefined: the document is deleted. */
  readonly text: string | undefined
  readonly spec: unknown
  readonly labels: Readonly<Record<string, string>>
}

@Injectable()
export class DocumentsRepository {
  constructor(private readonly prisma: PrismaService) {}

  transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.prisma.$transaction(run, { maxWait: 15_000, timeout: 60_000 })
  }

  all(tx: Transaction = this.prisma): Promise<Document[]> {
    return tx.document.findMany({ orderBy: [{ kind: 'asc' }, { name: 'asc' }] })
  }

  /** One apply at a time over all replicas. */
  async lock(tx: Transaction): Promise<void> {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended('sallyport:documents', 0))`
  }

  /** Writes a version and returns its number. Numbers go on after a deletion. */
  async write(tx: Transaction, change: NewVersion, author: string, reason: string | undefined, at: Date): Promise<number> {
    const { kind, name } = change
    const last = await tx.documentVersion.aggregate({ where: { kind, name }, _max: { version: true } })
    const version = (last._max.version ?? 0) + 1
    await tx.documentVersion.create({
      data: { id: uuid(), kind, name, version, text: change.text ?? null, author, reason: reason ?? null, createdAt: at },
    })
    if (change.text === undefined) {
      await tx.document.deleteMany({ where: { kind, name } })
      return version
    }
    const spec: Prisma.InputJsonValue = JSON.parse(JSON.stringify(change.spec))
    const data = { version, text: change.text, spec, labels: change.labels, author, updatedAt: at }
    await tx.document.upsert({ where: { kind_name: { kind, name } }, create: { id: uuid(), kind, name, ...data }, update: data })
    return version
  }

  /** Changes, newest first; without their texts. */
  history(filter: { readonly kind?: string | undefined; readonly name?: string | undefined }, limit: number, after: string | undefined): Promise<Omit<DocumentVersion, 'text'>[]> {
    const { kind, name } = filter
    return this.prisma.documentVersion.findMany({
      where: { ...(kind === undefined ? {} : { kind }), ...(name === undefined ? {} : { name }), ...(after === undefined ? {} : { id: { lt: after } }) },
      omit: { text: true },
      orderBy: { id: 'desc' },
      take: limit,
    })
  }

  change(id: string): Promise<DocumentVersion | null> {
    return this.prisma.documentVersion.findUnique({ where: { id } })
  }

  /** Every document as it stood at a moment: its last version by then, unless that was a deletion. */
  asOf(moment: Date): Promise<{ kind: string; name: string; text: string }[]> {
    return this.prisma.$queryRaw<{ kind: string; name: string; text: string }[]>`
      SELECT kind, name, text FROM (
        SELECT DISTINCT ON (kind, name) kind, name, text FROM document_version WHERE created_at <= ${moment} ORDER BY kind, name, version DESC) AS last
      WHERE text IS NOT NULL ORDER BY kind, name`
  }

  /** Told to the other replicas when the transaction commits. */
  async notify(tx: Transaction, version: string): Promise<void> {
    await tx.$executeRaw`SELECT pg_notify(${documentsChannel}, ${version})`
  }
}
