import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import { Prisma, type EnrolmentToken, type Node } from '../generated/prisma/client.js'
import { hostKeysOf, type StoredHostKey } from './host-keys.js'

export type NodeRow = Node
export type EnrolmentTokenRow = EnrolmentToken
export type Transaction = Prisma.TransactionClient
export type NodeKind = 'agent' | 'gateway'

@Injectable()
export class NodesRepository {
  constructor(private readonly prisma: PrismaService) {}

  transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.prisma.$transaction(run, { maxWait: 15_000, timeout: 30_000 })
  }

  find(id: string): Promise<NodeRow | null> {
    return this.prisma.node.findUnique({ where: { id } })
  }

  byName(name: string, tx: Transaction = this.prisma): Promise<NodeRow | null> {
    return tx.node.findUnique({ where: { name } })
  }

  list(): Promise<NodeRow[]> {
    return this.prisma.node.findMany({ orderBy: { name: 'asc' } })
  }

  async createToken(tx: Transaction, row: Prisma.EnrolmentTokenCreateInput): Promise<void> {
    await tx.enrolmentToken.create({ data: row })
  }

  findToken(id: string): Promise<EnrolmentTokenRow | null> {
    return this.prisma.enrolmentToken.findUnique({ where: { id } })
  }

  /** Takes the token, once. */
  async consumeToken(tx: Transaction, id: string, now: Date): Promise<boolean> {
    const used = await tx.enrolmentToken.updateMany({ where: { id, usedAt: null, expiresAt: { gt: now } }, data: { usedAt: now } })
    return used.count === 1
  }

  async create(tx: Transaction, row: Prisma.NodeCreateInput): Promise<void> {
    await tx.node.create({ data: row })
  }

  /** Frees the name of a revoked node for its successor. */
  async rename(tx: Transaction, id: string, name: string): Promise<void> {
    await tx.node.update({ where: { id }, data: { name } })
  }

  /** Only while the key is still the one that signed the request, and no later request was served (replay). */
  async renew(tx: Transaction, id: string, oldKey: Uint8Array, time: bigint, next: { publicKey: Uint8Array; certificateSha256: string }): Promise<boolean> {
    const renewed = await tx.node.updateMany({
      where: { id, revokedAt: null, publicKey: new Uint8Array(oldKey), OR: [{ renewTime: null }, { renewTime: { lt: time } }] },
      data: { publicKey: new Uint8Array(next.publicKey), certificateSha256: next.certificateSha256, renewTime: time },
    })
    return renewed.count === 1
  }

  async revoke(tx: Transaction, id: string, now: Date): Promise<boolean> {
    const revoked = await tx.node.updateMany({ where: { id, revokedAt: null }, data: { revokedAt: now } })
    return revoked.count === 1
  }

  async setHostKeys(id: string, keys: readonly StoredHostKey[]): Promise<void> {
    await this.prisma.node.updateMany({ where: { id, kind: 'gateway' }, data: { hostKeys: keys.map((key) => ({ ...key })) } })
  }

  /** Of the gateways that aren't revoked, whether they are here now or not. */
  async publishedHostKeys(): Promise<StoredHostKey[]> {
    const rows = await this.prisma.node.findMany({ where: { kind: 'gateway', revokedAt: null }, orderBy: { name: 'asc' }, select: { hostKeys: true } })
    return rows.flatMap(hostKeysOf)
  }

  async touch(ids: readonly string[], now: Date): Promise<void> {
    await this.prisma.node.updateMany({ where: { id: { in: [...ids] } }, data: { lastSeenAt: now } })
  }
}

/** Labels as stored. */
export function labelsOf(row: { readonly labels: Prisma.JsonValue }): Record<string, string> {
  const labels = row.labels
  if (typeof labels !== 'object' || labels === null || Array.isArray(labels)) return {}
  return Object.fromEntries(Object.entries(labels).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])))
}

export const kindOf = (row: { readonly kind: string }): NodeKind => (row.kind === 'gateway' ? 'gateway' : 'agent')
