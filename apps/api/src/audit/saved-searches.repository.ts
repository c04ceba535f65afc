import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import type { Prisma, SavedSearch } from '../generated/prisma/client.js'

@Injectable()
export class SavedSearchesRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** Somebody's own, and those that others share. */
  visible(user: string): Promise<SavedSearch[]> {
    return this.prisma.savedSearch.findMany({ where: { OR: [{ owner: user }, { shared: true }] }, orderBy: [{ name: 'asc' }, { owner: 'asc' }] })
  }

  count(owner: string): Promise<number> {
    return this.prisma.savedSearch.count({ where: { owner } })
  }

  async save(owner: string, name: string, shared: boolean, query: Prisma.InputJsonObject): Promise<void> {
    const updatedAt = new Date()
    await this.prisma.savedSearch.upsert({ where: { owner_name: { owner, name } }, create: { owner, name, shared, query, updatedAt }, update: { shared, query, updatedAt } })
  }

  /** Returns what was there. */
  async remove(owner: string, name: string): Promise<SavedSearch | undefined> {
    const found = await this.prisma.savedSearch.findUnique({ where: { owner_name: { owner, name } } })
    if (found === null) return undefined
    const { count } = await this.prisma.savedSearch.deleteMany({ where: { owner, name } })
    return count === 1 ? found : undefined
  }
}
