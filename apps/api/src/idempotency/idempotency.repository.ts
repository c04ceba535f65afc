import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import type { Idempotency } from '../generated/prisma/client.js'

/** A key belongs to whoever used it, on the route where it was used. */
export interface IdempotencyScope {
  readonly principal: string
  readonly route: string
  readonly key: string
}

@Injectable()
export class IdempotencyRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** True for the first of all requests with this key, also when they come at once. */
  async claim(scope: IdempotencyScope, requestSha256: string, now: Date, expiresAt: Date): Promise<boolean> {
    await this.prisma.idempotency.deleteMany({ where: { ...scope, expiresAt: { lte: now } } })
    const { count } = await this.prisma.idempotency.createMany({ data: [{ ...scope, requestSha256, createdAt: now, expiresAt }], skipDuplicates: true })
    return count === 1
  }

  find(scope: IdempotencyScope): Promise<Idempotency | null> {
    return this.prisma.idempotency.findUnique({ where: { principal_route_key: scope } })
  }

  async keep(scope: IdempotencyScope, reply: Uint8Array): Promise<void> {
    await this.prisma.idempotency.update({ where: { principal_route_key: scope }, data: { reply: new Uint8Array(reply) } })
  }

  async release(scope: IdempotencyScope): Promise<void> {
    await this.prisma.idempotency.deleteMany({ where: { ...scope, reply: null } })
  }

  async removeExpired(now: Date): Promise<void> {
    await this.prisma.idempotency.deleteMany({ where: { expiresAt: { lte: now } } })
  }
}
