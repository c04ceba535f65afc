import { Injectable } from '@nestjs/common'
import { RecordingsRepository } from '../../audit/recordings.repository.js'
import { notFound } from '../../problem/problem.js'
import type { SessionRow } from '../sessions.service.js'
import { CastWriter } from './asciicast.js'

export interface RecordingQuery {
  /** This command only. */
  readonly command?: number | undefined
  readonly raw: boolean
}

/** Recordings of sessions, for players. */
@Injectable()
export class RecordingsService {
  constructor(private readonly recordings: RecordingsRepository) {}

  /**
   * The session's recording as asciicast v3, line by line as the database gives it.
   * @throws {Problem} 404 when nothing of it was recorded; 409 when what is stored isn't what was recorded
   */
  async cast(session: SessionRow, { command, raw }: RecordingQuery): Promise<AsyncGenerator<string>> {
    const commands = await this.recordings.commands(session.id, command)
    if (commands.length === 0) throw notFound(command === undefined ? 'recording of the session' : 'recording of the command')
    // All of it is looked at before the first line leaves: a recording that was changed is refused, not shown in part.
    for (const recorded of commands) for await (const row of this.recordings.rows(session.id, recorded)) void row
    const writer = new CastWriter({ title: `${session.identity} on ${session.target}, session ${session.id}`, raw })
    const { recordings } = this
    return (async function* () {
      for (const recorded of commands) {
        for await (const { kind, time, body } of recordings.rows(session.id, recorded)) {
          const lines = writer.push(kind, time, body)
          if (lines !== '') yield lines
        }
        const lines = writer.endCommand()
        if (lines !== '') yield lines
      }
      const lines = writer.end()
      if (lines !== '') yield lines
    })()
  }
}
