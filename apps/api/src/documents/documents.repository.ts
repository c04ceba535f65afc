import { Injectable } from '@nestjs/common'
import { v7 as uuid } from 'uuid'
import type { Transaction } from '../audit/audit.repository.js'
import { PrismaService } from '../database/prisma.service.js'
import { Prisma, type Document } from '../generated/prisma/client.js'

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

  /** Told to the other replicas when the transaction commits. */
  async notify(tx: Transaction, version: string): Promise<void> {
    await tx.$executeRaw`SELECT pg_notify(${documentsChannel}, ${version})`
  }
}
