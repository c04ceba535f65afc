import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import type { Key } from '../generated/prisma/client.js'

@Injectable()
export class KeysRepository {
  constructor(private readonly prisma: PrismaService) {}

  find(id: string): Promise<Key | null> {
    return this.prisma.key.findUnique({ where: { id } })
  }

  /** Keeps the first one when replicas start at once. */
  async insertIfAbsent(key: { id: string; purpose: string; publicPart: string | null; sealed: Uint8Array }): Promise<void> {
    await this.prisma.key.createMany({ data: [{ ...key, sealed: new Uint8Array(key.sealed), createdAt: new Date() }], skipDuplicates: true })
  }
}
