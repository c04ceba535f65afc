import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import type { PartRow } from './recording-parts.repository.js'

/** What was written for an agent that never heard of it may still be sent again for so long. */
const graceHours = 24

/** Parts outside the database that are to go. */
@Injectable()
export class LeftoversRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** Before a part is written: should it never be acknowledged, it is found by this. Storing its event takes it off the list. */
  async expect({ session, first, last, sha256, store }: PartRow): Promise<void> {
    await this.prisma.$executeRaw`
      INSERT INTO recording_leftover (session_id, first_seq, last_seq, sha256, store, due_at)
      VALUES (${session}::uuid, ${first}, ${last}, ${sha256}, ${store}, now() + ${graceHours} * interval '1 hour')
      ON CONFLICT (session_id, first_seq, last_seq, sha256) DO UPDATE SET due_at = excluded.due_at, attempts = 0`
  }

  /**
   * Takes one part that is due, and deletes it unless something names it. Its row is locked meanwhile: who is about to write the
   * same part again waits, and writes it anew.
   * @param remove false: try again later
   */
  async takeDue(remove: (part: PartRow) => Promise<boolean>): Promise<'none' | 'deleted' | 'kept' | 'failed'> {
    return this.prisma.$transaction(
      async (tx) => {
        const [part] = await tx.$queryRaw<(PartRow & { named: boolean })[]>`
          SELECT l.session_id::text AS session, l.first_seq AS first, l.last_seq AS last, l.sha256, l.store, EXISTS (SELECT 1 FROM recording_part p
            WHERE p.session_id = l.session_id AND p.first_seq = l.first_seq AND p.last_seq = l.last_seq AND p.sha256 = l.sha256) AS named
          FROM recording_leftover l WHERE l.due_at <= now() ORDER BY l.due_at LIMIT 1 FOR UPDATE OF l SKIP LOCKED`
        if (part === undefined) return 'none'
        const { session, first, last, sha256, named } = part
        if (!named && !(await remove(part))) {
          await tx.$executeRaw`
            UPDATE recording_leftover SET attempts = attempts + 1, due_at = now() + least(interval '1 day', interval '1 minute' * power(2, least(attempts, 11)))
            WHERE session_id = ${session}::uuid AND first_seq = ${first} AND last_seq = ${last} AND sha256 = ${sha256}`
          return 'failed'
        }
        await tx.$executeRaw`DELETE FROM recording_leftover WHERE session_id = ${session}::uuid AND first_seq = ${first} AND last_seq = ${last} AND sha256 = ${sha256}`
        return named ? 'kept' : 'deleted'
      },
      { maxWait: 15_000, timeout: 120_000 },
    )
  }
}
