import { createHash } from 'node:crypto'
import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'

/** What may be used once. Expired rows are swept with those of credentials. */
@Injectable()
export class UsedTokensRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** True for the first who takes it, on any replica. */
  async take(what: string, expiresAt: Date): Promise<boolean> {
    const key = createHash('sha256').update(what).digest('hex')
    return (await this.prisma.usedToken.createMany({ data: [{ key, expiresAt }], skipDuplicates: true })).count === 1
  }
}
