import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import { Prisma } from '../generated/prisma/client.js'
import { PseudonymsService } from '../privacy/pseudonyms.service.js'
import { RecordingPartsService, type PieceReader } from '../recordings/recording-parts.service.js'

/** A command that has a recording, and where its events lie in the chain. */
export interface RecordedCommand {
  readonly command: number
  readonly firstPosition: bigint
  readonly lastPosition: bigint
}

/** An event of a recorded command: `command`, `recording` or `command.end`. */
export interface RecordingRow {
  readonly position: bigint
  readonly kind: string
  /** RFC 3339 UTC. */
  readonly time: string
  readonly body: string
}

/** An event of a live session. */
export interface LiveRow extends RecordingRow {
  readonly command: number | null
  readonly sourceSeq: bigint | null
}

/** An event is small; a piece with its chunks is at most some 40 kB from an agent that keeps to its limits, and 4 MiB from one that doesn't. */
const rowsPerPage = 16

/** Recordings in the chain, in small pages: one may be as large as the policy allows, and is never held whole. */
@Injectable()
export class RecordingsRepository {
  constructor(
    private readonly prisma: PrismaService,
    private readonly parts: RecordingPartsService,
    private readonly pseudonyms: PseudonymsService,
  ) {}

  commands(session: string, command: number | undefined): Promise<RecordedCommand[]> {
    const only = command === undefined ? Prisma.empty : Prisma.sql`AND command = ${command}`
    return this.prisma.$queryRaw<RecordedCommand[]>`
      SELECT command, min("position") AS "firstPosition", max("position") AS "lastPosition" FROM event
      WHERE session_id = ${session}::uuid AND command IS NOT NULL AND kind IN ('command', 'recording', 'command.end') ${only}
      GROUP BY command HAVING bool_or(kind = 'recording') ORDER BY command`
  }

  /** What came to a session's events after a position, recordings included, oldest first and a page at most. */
  async after(session: string, position: bigint): Promise<LiveRow[]> {
    const rows = await this.prisma.$queryRaw<LiveRow[]>`
      SELECT "position", kind, command, source_seq AS "sourceSeq", to_char("time" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "time", body FROM event
      WHERE session_id = ${session}::uuid AND "position" > ${position} ORDER BY "position" LIMIT ${rowsPerPage}`
    const read = await whole(this.parts.reader(), rows)
    return Promise.all(read.map(async (row) => ({ ...row, body: await this.pseudonyms.openBody(row.body) })))
  }

  /** @throws {Problem} 409 at a piece that isn't what was recorded */
  async *rows(session: string, { command, firstPosition, lastPosition }: RecordedCommand): AsyncGenerator<RecordingRow> {
    const reader = this.parts.reader()
    let next = firstPosition
    for (;;) {
      // Between the command's ends, so that the session's index is read once and not from its beginning for each page.
      const rows = await this.prisma.$queryRaw<RecordingRow[]>`
        SELECT "position", kind, to_char("time" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "time", body FROM event
        WHERE session_id = ${session}::uuid AND "position" BETWEEN ${next} AND ${lastPosition} AND command = ${command}
          AND kind IN ('command', 'recording', 'command.end')
        ORDER BY "position" LIMIT ${rowsPerPage}`
      yield* await whole(reader, rows)
      const last = rows.at(-1)
      if (last === undefined || rows.length < rowsPerPage) return
      next = last.position + 1n
    }
  }
}

async function whole<T extends RecordingRow>(reader: PieceReader, rows: readonly T[]): Promise<T[]> {
  const read: T[] = []
  for (const row of rows) read.push({ ...row, body: await reader.whole(row.position, row.body) })
  return read
}
