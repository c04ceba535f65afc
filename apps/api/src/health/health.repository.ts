import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'

@Injectable()
export class HealthRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** Whether the database answers within two seconds. */
  async answers(): Promise<boolean> {
    const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), 2000).unref())
    const asked = this.prisma.$queryRaw`SELECT 1`.then(
      () => true,
      () => false,
    )
    return Promise.race([asked, late])
  }
}
